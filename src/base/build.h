/* What this binary was built from. */
#ifndef BITTERN_BASE_BUILD_H
#define BITTERN_BASE_BUILD_H

extern const char bt_build_version[]; /**< "0.1.0" */
extern const char
    bt_build_commit[]; /**< "8ddba2ef1c2d", "...-dirty" with changes that are not committed; "unknown" outside of git */
extern const char bt_build_compiler[]; /**< "GNU 12.2.0 Release" */

#endif
