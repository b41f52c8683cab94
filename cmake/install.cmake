# cmake --install: the library with its headers, the commands, what pkg-config, CMake and shells look for, documents.
include(GNUInstallDirs)
install(TARGETS bittern LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS bittern-cli bittern-bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/bittern DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(FILES ${CMAKE_SOURCE_DIR}/examples/encode.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES ${CMAKE_SOURCE_DIR}/python/bittern.py DESTINATION ${CMAKE_INSTALL_DATADIR}/bittern)

# Both are relative to where they lie: the installed folder may be moved, and --prefix may name another one than was configured.
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" to_prefix ${to_prefix})
file(RELATIVE_PATH to_prefix_cmake /${CMAKE_INSTALL_LIBDIR}/cmake/bittern /)
configure_file(${CMAKE_SOURCE_DIR}/cmake/bittern.pc.in ${CMAKE_BINARY_DIR}/install/bittern.pc @ONLY)
configure_file(${CMAKE_SOURCE_DIR}/cmake/bittern-config.cmake.in ${CMAKE_BINARY_DIR}/install/bittern-config.cmake @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/install/bittern-config-version.cmake VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/install/bittern.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/install/bittern-config.cmake ${CMAKE_BINARY_DIR}/install/bittern-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/bittern)

# Completion is printed by the command itself; a build for another machine cannot ask it.
if(NOT CMAKE_CROSSCOMPILING)
  install(CODE "execute_process(COMMAND \"$<TARGET_FILE:bittern-cli>\" completion OUTPUT_FILE \"${CMAKE_BINARY_DIR}/install/bittern\" COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${CMAKE_BINARY_DIR}/install/bittern DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()
