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
    if(BITTERN_WITH_OPENMP)
      find_package(OpenMP QUIET COMPONENTS CXX)
    endif()
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
  ${CMAKE_SOURCE_DIR}/cuda/cholesky_solver.cu ${CMAKE_SOURCE_DIR}/cuda/fused_product.cu
  ${CMAKE_SOURCE_DIR}/cuda/fused_product_none.cu ${CMAKE_SOURCE_DIR}/cuda/fused_graph.cu)
set(host_runtime ${host_dir}/collectives.cpp ${host_dir}/fiber.cpp ${host_dir}/launch.cpp ${host_dir}/scheduler.cpp
  ${host_dir}/shared_memory.cpp)
set(host_device ${host_dir}/device_host.cpp ${host_dir}/product_host.cpp ${host_dir}/cholesky_solver_host.cpp
  ${host_dir}/fused_product_host.cpp)

# To CMake a .cu is CUDA, once per source: so a C++ file of one line includes each.
set(host_kernel_sources "")
foreach(kernel ${host_kernels})
  get_filename_component(name ${kernel} NAME_WE)
  set(source ${CMAKE_BINARY_DIR}/cuda_host/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${kernel}\"\n")
  list(APPEND host_kernel_sources ${source})
endforeach()

# Options shared by kernels, runtime and tests. No contraction: results do not depend on the compiler's mood.
add_library(bittern_host_flags INTERFACE)
target_compile_features(bittern_host_flags INTERFACE cxx_std_17)
target_compile_definitions(bittern_host_flags INTERFACE BT_CUDA_HOST)
target_compile_options(bittern_host_flags INTERFACE -Wall -Wextra -Wshadow -Wno-unknown-pragmas -ffp-contract=off
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

# Linked directly, an object library brings its objects along.
host_library(bittern_cuda_host ${host_kernel_sources} ${host_runtime} ${host_device})
target_link_libraries(bittern_cuda_host PUBLIC ${BOOST_CONTEXT_LIBRARY})
if(BITTERN_WITH_OPENMP AND OpenMP_CXX_FOUND)
  target_link_libraries(bittern_cuda_host PUBLIC OpenMP::OpenMP_CXX)
endif()
set_source_files_properties(${host_dir}/collectives.cpp ${host_dir}/product_host.cpp PROPERTIES COMPILE_OPTIONS -O3)

if(TARGET PkgConfig::CMOCKA)
  foreach(subject runtime tiles attention)
    add_executable(test_cuda_host_${subject} ${host_dir}/test_${subject}.cpp)
    target_link_libraries(test_cuda_host_${subject} PRIVATE bittern_cuda_host bittern_objects PkgConfig::CMOCKA)
    add_test(NAME cuda_host_${subject} COMMAND test_cuda_host_${subject})
    set_tests_properties(cuda_host_${subject} PROPERTIES LABELS cuda_host)
  endforeach()
endif()

# The operation table on the kernels, in three thread orders.
add_executable(test_ops_cuda_host ${host_dir}/ops_main.c ${host_dir}/ops_thread_order.cpp)
target_link_libraries(test_ops_cuda_host PRIVATE ops_table bittern_cuda_host bittern_objects)
add_test(NAME ops_cuda_host COMMAND test_ops_cuda_host)
set_tests_properties(ops_cuda_host PROPERTIES LABELS cuda_host TIMEOUT 1200)

# Race check: one ThreadSanitizer fiber per CUDA thread, edges drawn by the runtime, which is not instrumented itself. Not in
# ctest's table run are the rows marked large. Some machines refuse the sanitizer its address space.
include(CheckCXXSourceRuns)
set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
check_cxx_source_runs("int main() { return 0; }" BITTERN_TSAN_RUNS)
unset(CMAKE_REQUIRED_FLAGS)
if(NOT BITTERN_TSAN_RUNS OR BITTERN_SANITIZE)
  message(STATUS "bittern: race check of host-compiled CUDA kernels off (-fsanitize=thread does not run here, or another "
    "sanitizer is on)")
  return()
endif()
host_library(bittern_host_runtime_tsan ${host_runtime} ${host_device})
target_compile_definitions(bittern_host_runtime_tsan PRIVATE BT_HOST_TSAN)
host_library(bittern_cuda_host_tsan ${host_kernel_sources})
target_compile_options(bittern_cuda_host_tsan PRIVATE -fsanitize=thread -g)

function(race_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE bittern_host_runtime_tsan bittern_cuda_host_tsan bittern_objects
    ${BOOST_CONTEXT_LIBRARY})
  target_link_options(${name} PRIVATE -fsanitize=thread)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS cuda_host TIMEOUT 1200)
endfunction()
race_program(test_cuda_host_races ${host_dir}/test_races.cpp)
target_compile_options(test_cuda_host_races PRIVATE -fsanitize=thread -g)
race_program(test_cuda_host_ops_races ${host_dir}/ops_main.c ${host_dir}/ops_thread_order.cpp)
target_compile_definitions(test_cuda_host_ops_races PRIVATE BT_RACE_CHECK)
target_link_libraries(test_cuda_host_ops_races PRIVATE ops_table)
