# Whole programs on a CUDA backend: launches counted, training beside the processor's. Each is built for the kernels compiled for the host
# (label cuda_host) and for the GPU (label gpu; skipped without one).
set(device_dir ${CMAKE_SOURCE_DIR}/tests/device)

# device_test(NAME host steps, gpu steps...): arguments of both variants.
function(device_test subject)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HOST;GPU")
  set(sources ${device_dir}/${subject}.c ${device_dir}/scenes.c)
  if(TARGET bittern_cuda_host)
    add_executable(test_device_${subject}_host ${sources})
    target_link_libraries(test_device_${subject}_host PRIVATE ops_table bittern_cuda_host bittern_objects)
    target_compile_definitions(test_device_${subject}_host PRIVATE BT_TESTED_BACKEND=bt_cuda_host_backend)
    add_test(NAME device_${subject}_cuda_host COMMAND test_device_${subject}_host ${arg_HOST})
    set_tests_properties(device_${subject}_cuda_host PROPERTIES LABELS cuda_host TIMEOUT 900)
  endif()
  if(BITTERN_WITH_CUDA)
    add_executable(test_device_${subject} ${sources} ${cuda_objects})
    target_link_libraries(test_device_${subject} PRIVATE ops_table bittern_objects)
    target_compile_definitions(test_device_${subject} PRIVATE BT_TESTED_BACKEND=bt_cuda_backend)
    add_test(NAME device_${subject}_cuda COMMAND test_device_${subject} ${arg_GPU})
    set_tests_properties(device_${subject}_cuda PROPERTIES LABELS gpu SKIP_RETURN_CODE 77 TIMEOUT 300)
  endif()
endfunction()

device_test(launches)
device_test(training HOST 6 GPU 20)

# The benchmark's own path of a device: pictures that lie there, replayed runs, the profile, calls with uploads. On the kernels
# compiled for the host, which the command knows as cuda only in a build with CUDA.
if(TARGET bittern_cuda_host AND BITTERN_WITH_CUDA)
  add_executable(bench_cuda_host ${bench_sources})
  target_link_libraries(bench_cuda_host PRIVATE bittern_cuda_host bittern_objects)
  add_test(NAME device_bench_cuda_host COMMAND bash ${device_dir}/bench.sh $<TARGET_FILE:bench_cuda_host>)
  set_tests_properties(device_bench_cuda_host PROPERTIES LABELS cuda_host TIMEOUT 900)
endif()
