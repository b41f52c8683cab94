# Picture files of every kind, and the views that published models want, against PIL and the libraries' transforms, bit for bit. Files and pixels
# are made in the build folder by Debian's python3-pil, or by BITTERN_PYTHON (which may have timm, open_clip and transformers); without PIL the tests
# are skipped, visibly.
set(images_dir ${CMAKE_SOURCE_DIR}/tests/images)
foreach(subject decode preprocess)
  set(script make_cases.py)
  if(subject STREQUAL preprocess)
    set(script make_preprocess.py)
  endif()
  add_test(NAME images_${subject}_cases COMMAND ${images_dir}/run.sh ${script} ${CMAKE_BINARY_DIR}/images/${subject})
  set_tests_properties(images_${subject}_cases PROPERTIES LABELS images FIXTURES_SETUP images_${subject} SKIP_RETURN_CODE 77 TIMEOUT 600)
  add_executable(test_images_${subject} ${images_dir}/${subject}.c ${cuda_objects})
  target_link_libraries(test_images_${subject} PRIVATE bittern_objects)
  add_test(NAME images_${subject} COMMAND test_images_${subject} ${CMAKE_BINARY_DIR}/images/${subject})
  set_tests_properties(images_${subject} PROPERTIES LABELS images FIXTURES_REQUIRED images_${subject} SKIP_RETURN_CODE 77 TIMEOUT 600)
endforeach()
