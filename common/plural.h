/* plural.h - "1 clip", "2 clips": printf("%lld clip%s", (long long)n, plural_s(n)). */
#ifndef REELWRIGHT_PLURAL_H
#define REELWRIGHT_PLURAL_H

#include <stdint.h>

static inline const char *plural_s(int64_t n) { return n == 1 ? "" : "s"; }

#endif
