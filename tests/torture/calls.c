#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

static CallKind armed = KINDS;
static int64_t failing, count;
static const char *who;
static FILE *broken; /* a stream whose read or write failed: ferror says so */

void calls_arm(CallKind kind, int64_t nth)
{
    armed = kind;
    failing = nth;
    count = 0;
    who = NULL;
}

int64_t calls_disarm(void)
{
    armed = KINDS;
    return count;
}

bool calls_failed(const char **name)
{
    *name = who;
    return who != NULL;
}

static bool due(CallKind kind, const char *name)
{
    if (kind != armed || __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) != failing) return false;
    who = name;
    return true;
}

#define WRAPPER(kind, type, name, parameters, arguments, value, code)                                                  \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        if (!due(kind, #name)) return __real_##name arguments;                                                         \
        if (code) errno = code;                                                                                        \
        return value;                                                                                                  \
    }
CALLS(WRAPPER)

/* ---- those that the table cannot say ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    if (!due(FILES, "open")) return __real_open(path, flags, mode);
    errno = EMFILE;
    return -1;
}

size_t __real_fread(void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fread(void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fread(void *p, size_t size, size_t n, FILE *f)
{
    if (!due(FILES, "fread")) return __real_fread(p, size, n, f);
    broken = f;
    errno = EIO;
    return 0;
}

size_t __real_fwrite(const void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fwrite(const void *p, size_t size, size_t n, FILE *f);
size_t __wrap_fwrite(const void *p, size_t size, size_t n, FILE *f)
{
    if (f == stderr || !due(FILES, "fwrite")) return __real_fwrite(p, size, n, f);
    broken = f;
    errno = ENOSPC;
    return __real_fwrite(p, size, n / 2, f); /* as a disk that fills up */
}

int __real_ferror(FILE *f);
int __wrap_ferror(FILE *f);
int __wrap_ferror(FILE *f) { return f == broken ? 1 : __real_ferror(f); }

/* A close that fails has closed all the same. */
int __real_fclose(FILE *f);
int __wrap_fclose(FILE *f);
int __wrap_fclose(FILE *f)
{
    if (f == broken) broken = NULL;
    int code = __real_fclose(f);
    if (!due(FILES, "fclose")) return code;
    errno = ENOSPC;
    return EOF;
}

int __real_avio_closep(AVIOContext **c);
int __wrap_avio_closep(AVIOContext **c);
int __wrap_avio_closep(AVIOContext **c)
{
    int code = __real_avio_closep(c);
    return due(LIBAV, "avio_closep") ? NO_SPACE : code;
}

/* The handle must be there to be closed, as SQLite's own is after a failure. */
int __real_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs)
{
    int code = __real_sqlite3_open_v2(path, db, flags, vfs);
    return due(SQLITE, "sqlite3_open_v2") ? SQLITE_CANTOPEN : code;
}
