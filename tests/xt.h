/* SPDX-License-Identifier: MIT */
/** DOC: cmocka, with the headers that it wants first, in its order. */
#ifndef TESTS_XT_H
#define TESTS_XT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif /* TESTS_XT_H */
