# Flags of all our code. No fast-math anywhere; no contraction, so that the same source gives the same bits.
add_library(bittern_flags INTERFACE)
# The last two change no value: we never read errno after sqrtf nor the floating-point exception flags, and without them
# loops with sqrtf or a choice between two values stay scalar.
set(c_flags -Wall -Wextra -Wpedantic -Wshadow -Wconversion -ffp-contract=off -fno-strict-aliasing -fno-math-errno
  -fno-trapping-math)
if(BITTERN_WERROR)
  list(APPEND c_flags -Werror)
endif()
target_compile_options(bittern_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:${c_flags} -Wstrict-prototypes -Wmissing-prototypes>)
target_include_directories(bittern_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
if(BITTERN_SANITIZE)
  set(sanitize -fsanitize=${BITTERN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  target_compile_options(bittern_flags INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:${sanitize}>)
  target_link_options(bittern_flags INTERFACE ${sanitize})
  if(CMAKE_C_COMPILER_ID MATCHES Clang) # checked loops are not vectorised, which clang warns of where `omp simd` asks for it
    target_compile_options(bittern_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Wno-pass-failed>)
  endif()
endif()
target_link_libraries(bittern_flags INTERFACE Threads::Threads m)
if(BITTERN_WITH_OPENMP)
  target_compile_options(bittern_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:${OpenMP_C_FLAGS}>)
  target_link_libraries(bittern_flags INTERFACE ${OpenMP_C_LIBRARIES})
else() # one thread; where the compiler can, loops marked `omp simd` still become vectors
  include(CheckCCompilerFlag)
  check_c_compiler_flag(-fopenmp-simd BITTERN_OPENMP_SIMD)
  target_compile_options(bittern_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-Wno-unknown-pragmas $<$<BOOL:${BITTERN_OPENMP_SIMD}>:-fopenmp-simd>>)
endif()
