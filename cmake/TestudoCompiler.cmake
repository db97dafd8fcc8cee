# Flags that every target of ours shares, and the function that makes a floor of the house.

add_library(testudo_flags INTERFACE)
target_compile_options(testudo_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  # Protocol arithmetic is bitwise reproducible: no fused multiply-add unless written as one.
  -ffp-contract=off
  $<$<CXX_COMPILER_ID:Clang>:-Wno-missing-field-initializers>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>)
if(TESTUDO_SANITIZE)
  target_compile_options(testudo_flags INTERFACE -fsanitize=${TESTUDO_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(testudo_flags INTERFACE -fsanitize=${TESTUDO_SANITIZE})
endif()
if(TESTUDO_FUZZ)  # libFuzzer's main comes with the targets; everything below them is instrumented for it
  target_compile_options(testudo_flags INTERFACE -fsanitize=fuzzer-no-link)
  # AddressSanitizer sees those as well, and they are a fifth of the compiler's work.
  target_compile_options(testudo_flags INTERFACE -fno-sanitize=null,object-size)
endif()
find_program(LLD_LINKER NAMES ld.lld-19 ld.lld)
if(LLD_LINKER AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(--ld-path=${LLD_LINKER})
endif()

# What every file of a target includes and nobody changes.
function(testudo_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  # So that ccache may take its time stamp for nothing.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
endfunction()

# The standard library and what results and texts are made with, for the builds that one waits for as a whole. Ordinary
# builds do without, and so find the file that does not include what it uses.
function(testudo_precompile_standard target)
  if(TESTUDO_SANITIZE)
    testudo_precompile(${target} <algorithm> <array> <chrono> <coroutine> <deque> <functional> <map> <memory> <optional>
                       <set> <span> <string> <vector> <tl/expected.hpp> <spdlog/fmt/fmt.h> ${ARGN})
  endif()
endfunction()

# testudo_floor(NAME DEPENDENCIES...): one static library from every source below NAME/, except NAME/torch and NAME/face,
# which are targets of their own. Sources are globbed on purpose: a folder is a target, whatever files it holds.
function(testudo_floor name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/(torch|face)/")
  if(NOT sources)  # a floor that is not built yet
    add_library(testudo_${name} INTERFACE)
    target_include_directories(testudo_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(testudo_${name} INTERFACE ${ARGN})
    return()
  endif()
  add_library(testudo_${name} STATIC ${sources})
  add_library(testudo::${name} ALIAS testudo_${name})
  target_include_directories(testudo_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(testudo_${name} PUBLIC ${ARGN} PRIVATE testudo_flags)
  testudo_precompile_standard(testudo_${name})
endfunction()
