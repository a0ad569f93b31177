/* check.h: our own errors. A false ASSERT is a bug of pagewalk, never bad input or a fault of the
 * simulated program (those are ordinary values).
 *
 * ASSERT stays in every build and costs one compare: use it off the hot path.
 * CHECK exists in debug, asan, tsan and hostile builds: use it where it would cost. Name the
 * invariant it defends in a comment: CHECK(a <= b); (I3)
 * AUDIT(call) runs a whole-structure audit, in the hostile build only.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* base_bug prints file, line and expression to stderr with write(2) and aborts. */
_Noreturn void base_bug(const char *file, int line, const char *expr);

#define ASSERT(x) (__builtin_expect(!!(x), 1) ? (void)0 : base_bug(__FILE__, __LINE__, #x))

#ifdef PW_CHECKS
#define CHECK(x) ASSERT(x)
#else
#define CHECK(x) ((void)sizeof(x))
#endif

#ifdef PW_HOSTILE
#define AUDIT(call) ((void)(call))
#else
#define AUDIT(call) ((void)0)
#endif

#endif
