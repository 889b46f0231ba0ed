/* place.c - where a store is, and where things lie in it. */
#include <stdarg.h>
#include <stdio.h>

#include "common/file.h"
#include "trust/inside.h"

char *trust_path(const TrustStore *s, const char *fmt, ...)
{
    char name[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return path_join(s->folder, name);
}

char *trust_find(const char *given)
{
    const char *set = getenv("REELWRIGHT_TRUST"), *home = getenv("HOME");
    if (given && *given) return text_copy(given);
    if (set && *set) return text_copy(set);
    return path_join(home && *home ? home : "/root", ".local/share/reelwright/trust");
}
