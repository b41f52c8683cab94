# The operation table on each backend (see ops_test.h), and the broken kernels that it must catch.
set(ops_dir ${CMAKE_SOURCE_DIR}/tests/ops)
add_library(ops_table STATIC
  ${ops_dir}/anchors.c ${ops_dir}/case.c ${ops_dir}/cases.c ${ops_dir}/coverage.c ${ops_dir}/faults.c
  ${ops_dir}/gradient.c ${ops_dir}/harness.c ${ops_dir}/info.c ${ops_dir}/main.c ${ops_dir}/specs.c
  ${ops_dir}/reference_attention.c ${ops_dir}/reference_common.c ${ops_dir}/reference_elementwise.c ${ops_dir}/reference_fused.c
  ${ops_dir}/reference_losses.c ${ops_dir}/reference_norms.c ${ops_dir}/reference_optimizer.c
  ${ops_dir}/reference_positions.c ${ops_dir}/reference_products.c ${ops_dir}/reference_tokens.c ${ops_dir}/reference_views.c)
target_link_libraries(ops_table PUBLIC bittern_flags)
target_include_directories(ops_table PUBLIC ${ops_dir})

function(ops_program name source)
  add_executable(${name} ${source} ${cuda_objects})
  target_link_libraries(${name} PRIVATE ops_table bittern_objects)
endfunction()

ops_program(test_ops_cpu ${ops_dir}/main_cpu.c)
add_test(NAME ops_cpu COMMAND test_ops_cpu)
add_test(NAME ops_coverage COMMAND test_ops_cpu --coverage)
set_tests_properties(ops_cpu ops_coverage PROPERTIES LABELS ops)
# Without vectors of 8 or more lanes, and with a number of threads that divides nothing.
add_test(NAME ops_cpu_generic COMMAND test_ops_cpu --threads 3)
set_tests_properties(ops_cpu_generic PROPERTIES LABELS ops ENVIRONMENT BITTERN_CPU=generic)

ops_program(test_ops_mutants ${ops_dir}/mutants.c)
add_test(NAME ops_mutants COMMAND test_ops_mutants)
set_tests_properties(ops_mutants PROPERTIES LABELS mutants)

# The runs on host-compiled CUDA kernels are in tests/cuda_host.
if(TARGET test_ops_cuda_host)
  add_test(NAME ops_cuda_host_coverage COMMAND test_ops_cuda_host --coverage)
  set_tests_properties(ops_cuda_host_coverage PROPERTIES LABELS cuda_host)
else()
  message(STATUS "bittern: the operation table leaves out the host-compiled CUDA kernels")
endif()

if(BITTERN_WITH_CUDA)
  ops_program(test_ops_cuda ${ops_dir}/main_cuda.c)
  add_test(NAME ops_cuda COMMAND test_ops_cuda)
  add_test(NAME ops_cuda_coverage COMMAND test_ops_cuda --coverage)
  set_tests_properties(ops_cuda PROPERTIES LABELS "ops;gpu" SKIP_RETURN_CODE 77)
  set_tests_properties(ops_cuda_coverage PROPERTIES LABELS ops)
else()
  message(STATUS "bittern: the operation table leaves out cuda (this build has no CUDA)")
endif()
