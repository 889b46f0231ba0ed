#include "c2pa_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

#ifndef C2PA_HOME
#define C2PA_HOME ".venv"
#endif

static void *open_library(void)
{
    const char *named = getenv("REELWRIGHT_C2PA");
    if (named) return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    glob_t found;
    void *library = NULL;
    if (glob(C2PA_HOME "/lib/python3*/site-packages/c2pa/libs/libc2pa_c.so", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && !library; i++)
            library = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
        globfree(&found);
    }
    return library;
}

Status c2pa_library(const C2paLibrary **out)
{
    static C2paLibrary library;
    static void *module;
    *out = NULL;
    if (!module) {
        void *opened = open_library();
        if (!opened)
            return status_fail(
                ERR_INPUT,
                "content credentials need the C library of c2pa-python, which is not in %s; install it: "
                "%s/bin/pip install --no-deps c2pa-python==0.38.1; or say in $REELWRIGHT_C2PA where libc2pa_c.so is",
                C2PA_HOME, C2PA_HOME);
        const char *missing = NULL;
        void *symbol;
#define C2PA_LOAD(result, name, arguments)                                                                             \
    symbol = dlsym(opened, #name);                                                                                     \
    if (!symbol) missing = #name;                                                                                      \
    memcpy(&library.name, &symbol, sizeof symbol);
        C2PA_CALLS(C2PA_LOAD)
#undef C2PA_LOAD
        if (missing) {
            dlclose(opened);
            return status_fail(ERR_INPUT, "libc2pa_c.so has no %s: expected that of c2pa-python 0.38", missing);
        }
        module = opened;
    }
    *out = &library;
    return status_ok();
}
