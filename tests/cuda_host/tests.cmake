# The CUDA kernels compiled for the host (see host_runtime.h): every cuda/*.cu but those that only wrap NVIDIA's libraries.
set(host_dir ${CMAKE_SOURCE_DIR}/tests/cuda_host)

set(host_missing "")
if(NOT BITTERN_CUDA_HOST)
  set(host_missing "switched off by BITTERN_CUDA_HOST")
else()
  include(CheckLanguage)
  check_language(CXX)
  if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
    find_path(BOOST_CONTEXT_INCLUDE boost/context/detail/fcontext.hpp)
    find_library(BOOST_CONTEXT_LIBRARY boost_context)
    find_package(OpenMP QUIET COMPONENTS CXX)
  endif()
  if(NOT CMAKE_CXX_COMPILER)
    set(host_missing "no C++ compiler; g++ would switch them on")
  elseif(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(host_missing "they need g++, found ${CMAKE_CXX_COMPILER_ID}")
  elseif(NOT BOOST_CONTEXT_INCLUDE OR NOT BOOST_CONTEXT_LIBRARY)
    set(host_missing "Boost.Context not found; libboost-context-dev would switch them on")
  endif()
endif()
if(host_missing)
  message(STATUS "bittern: host-compiled CUDA kernels off (${host_missing})")
  return()
endif()

file(GLOB host_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/*.cu)
list(REMOVE_ITEM host_kernels ${CMAKE_SOURCE_DIR}/cuda/device.cu ${CMAKE_SOURCE_DIR}/cuda/product.cu
  ${CMAKE_SOURCE_DIR}/cuda/cholesky.cu)
set(host_runtime ${host_dir}/collectives.cpp ${host_dir}/fiber.cpp ${host_dir}/launch.cpp ${host_dir}/scheduler.cpp
  ${host_dir}/shared_memory.cpp)
set(host_device ${host_dir}/device_host.cpp ${host_dir}/product_host.cpp ${host_dir}/cholesky_host.cpp)

# -x c++ goes in front of the file name; nvcc knows the same sources as CUDA when it is there.
set(host_objects "")
foreach(kernel ${host_kernels})
  get_filename_component(name ${kernel} NAME_WE)
  set(copy ${CMAKE_BINARY_DIR}/cuda_host/${name}.cpp)
  if(NOT EXISTS ${copy})
    file(WRITE ${copy} "#include \"${kernel}\"\n")
  endif()
  list(APPEND host_objects ${copy})
endforeach()

# Options shared by kernels, runtime and tests. No contraction: results do not depend on the compiler's mood.
add_library(bittern_host_flags INTERFACE)
target_compile_features(bittern_host_flags INTERFACE cxx_std_17)
target_compile_definitions(bittern_host_flags INTERFACE BT_CUDA_HOST)
target_compile_options(bittern_host_flags INTERFACE -O2 -Wall -Wextra -Wshadow -Wno-unknown-pragmas -ffp-contract=off
  $<$<BOOL:${BITTERN_WERROR}>:-Werror>)
target_include_directories(bittern_host_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src
  ${CMAKE_SOURCE_DIR}/cuda ${CMAKE_SOURCE_DIR}/tests)

function(host_library name)
  add_library(${name} OBJECT ${ARGN})
  target_link_libraries(${name} PUBLIC bittern_host_flags)
  if(BITTERN_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=${BITTERN_SANITIZE} -fno-omit-frame-pointer -g)
  endif()
endfunction()

host_library(bittern_host_runtime ${host_runtime} ${host_device})
if(OpenMP_CXX_FOUND)
  target_link_libraries(bittern_host_runtime PUBLIC OpenMP::OpenMP_CXX)
endif()
set_source_files_properties(${host_dir}/collectives.cpp ${host_dir}/product_host.cpp PROPERTIES COMPILE_OPTIONS -O3)
host_library(bittern_cuda_host ${host_objects})

function(host_program name)
  add_executable(${name} ${ARGN} $<TARGET_OBJECTS:bittern_host_runtime>)
  target_link_libraries(${name} PRIVATE bittern_host_flags bittern_objects ${BOOST_CONTEXT_LIBRARY})
  if(OpenMP_CXX_FOUND)
    target_link_libraries(${name} PRIVATE OpenMP::OpenMP_CXX)
  endif()
endfunction()

host_program(test_cuda_host_runtime ${host_dir}/test_runtime.cpp ${host_dir}/faulty_kernels.cpp
  $<TARGET_OBJECTS:bittern_cuda_host>)
add_test(NAME cuda_host_runtime COMMAND test_cuda_host_runtime)
set_tests_properties(cuda_host_runtime PROPERTIES LABELS cuda_host)

# The operation table on the kernels, in several thread orders.
host_program(test_ops_cuda_host ${host_dir}/main_cuda_host.c ${host_dir}/thread_orders.cpp
  $<TARGET_OBJECTS:bittern_cuda_host>)
target_link_libraries(test_ops_cuda_host PRIVATE ops_table)
add_test(NAME ops_cuda_host COMMAND test_ops_cuda_host)
set_tests_properties(ops_cuda_host PROPERTIES LABELS cuda_host TIMEOUT 900)

# Race check: one ThreadSanitizer fiber per CUDA thread, edges drawn by the runtime, which is not instrumented itself. Only
# the rows of the table that are not large. Some kernels or containers refuse the sanitizer's address space.
include(CheckCXXSourceRuns)
set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
check_cxx_source_runs("int main() { return 0; }" BITTERN_TSAN_RUNS)
unset(CMAKE_REQUIRED_FLAGS)
if(BITTERN_TSAN_RUNS AND NOT BITTERN_SANITIZE)
  host_library(bittern_host_runtime_tsan ${host_runtime} ${host_device})
  target_compile_definitions(bittern_host_runtime_tsan PRIVATE BT_HOST_TSAN)
  host_library(bittern_cuda_host_tsan ${host_objects})
  target_compile_options(bittern_cuda_host_tsan PRIVATE -fsanitize=thread -g)
  foreach(row "test_cuda_host_races|faulty_kernels.cpp;test_races.cpp" "test_ops_cuda_host_races|main_cuda_host.c;thread_orders.cpp")
    string(REPLACE "|" ";" row "${row}")
    list(POP_FRONT row name)
    list(TRANSFORM row PREPEND ${host_dir}/)
    add_executable(${name} ${row} $<TARGET_OBJECTS:bittern_host_runtime_tsan> $<TARGET_OBJECTS:bittern_cuda_host_tsan>)
    target_link_libraries(${name} PRIVATE bittern_host_flags bittern_objects ${BOOST_CONTEXT_LIBRARY})
    target_link_options(${name} PRIVATE -fsanitize=thread)
  endforeach()
  set_source_files_properties(${host_dir}/faulty_kernels.cpp TARGET_DIRECTORY test_cuda_host_races PROPERTIES LABELS "")
  target_compile_options(test_cuda_host_races PRIVATE -fsanitize=thread -g)
  target_compile_definitions(test_ops_cuda_host_races PRIVATE BT_SMALL_ONLY)
  target_link_libraries(test_ops_cuda_host_races PRIVATE ops_table)
  add_test(NAME cuda_host_races COMMAND test_cuda_host_races)
  add_test(NAME ops_cuda_host_races COMMAND test_ops_cuda_host_races)
  set_tests_properties(cuda_host_races ops_cuda_host_races PROPERTIES LABELS cuda_host TIMEOUT 900
    ENVIRONMENT "TSAN_OPTIONS=halt_on_error=0 exitcode=66 report_bugs=1")
else()
  message(STATUS "bittern: race check of host-compiled CUDA kernels off (programs built with -fsanitize=thread do not run "
    "here, or another sanitizer is on)")
endif()
