# Third-party libraries, all from the distribution's packages, grouped by the floor that first needs them.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(spdlog REQUIRED)
find_package(tl-expected REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)

add_library(testudo_base_deps INTERFACE)
target_link_libraries(testudo_base_deps INTERFACE PkgConfig::SODIUM PkgConfig::CRYPTO spdlog::spdlog
                      tl::expected Threads::Threads)
target_compile_definitions(testudo_base_deps INTERFACE TESTUDO_VERSION="${PROJECT_VERSION}")

add_library(testudo_net_deps INTERFACE)
target_link_libraries(testudo_net_deps INTERFACE PkgConfig::UV PkgConfig::SQLITE)

add_library(testudo_swarm_deps INTERFACE)
target_link_libraries(testudo_swarm_deps INTERFACE PkgConfig::ZLIB)
