# What `cmake --install` puts where, and what find_package(testudo) finds there.

include(CMakePackageConfigHelpers)
set(testudo_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/testudo)

# Each component is an export of its own: the network is of use without libtorch.
function(testudo_component target export)
  install(TARGETS ${target} EXPORT ${export} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ${export} NAMESPACE testudo:: DESTINATION ${testudo_package_dir})
endfunction()

testudo_component(testudo_network testudoNetwork)
if(TESTUDO_TORCH)
  testudo_component(testudo_torch_face testudoTorch)
else()
  set(no_torch PATTERN torch.h EXCLUDE)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/testudo DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${no_torch})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/testudoConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/testudoConfig.cmake
                              INSTALL_DESTINATION ${testudo_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/testudoConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
configure_file(${PROJECT_SOURCE_DIR}/cmake/testudo.pc.in ${PROJECT_BINARY_DIR}/testudo.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/testudoConfig.cmake ${PROJECT_BINARY_DIR}/testudoConfigVersion.cmake
        DESTINATION ${testudo_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/testudo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
