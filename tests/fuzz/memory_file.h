/* memory_file.h - a fuzzer's bytes as a file that has a path, for parsers that open their files themselves. */
#ifndef REELWRIGHT_FUZZ_MEMORY_FILE_H
#define REELWRIGHT_FUZZ_MEMORY_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* path holds 64 bytes; close() what is returned; -1: no memory. */
static inline int memory_file(const uint8_t *data, size_t size, char *path)
{
    const int f = memfd_create("fuzz", MFD_CLOEXEC);
    if (f < 0) return -1;
    if (write(f, data, size) != (ssize_t)size) {
        close(f);
        return -1;
    }
    snprintf(path, 64, "/proc/self/fd/%d", f);
    return f;
}

#endif
