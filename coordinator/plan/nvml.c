#include "nvml.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

/* NVML API Reference, "Initialization and Cleanup", "Device Queries"; 0 is NVML_SUCCESS, energies are in mJ. */
typedef struct {
    int (*init)(void), (*shutdown)(void), (*count)(unsigned *count), (*handle)(unsigned index, void **device),
        (*energy)(void *device, unsigned long long *mj);
} Nvml;

static bool find_functions(void *library, Nvml *n)
{
    const struct {
        const char *name;
        void *to;
    } function[] = {{"nvmlInit_v2", &n->init},
                    {"nvmlShutdown", &n->shutdown},
                    {"nvmlDeviceGetCount_v2", &n->count},
                    {"nvmlDeviceGetHandleByIndex_v2", &n->handle},
                    {"nvmlDeviceGetTotalEnergyConsumption", &n->energy}};
    for (size_t i = 0; i < sizeof function / sizeof *function; i++)
        if (!(*(void **)function[i].to = dlsym(library, function[i].name))) return false;
    return true;
}

/* All or none: of some of them a sum says nothing. */
static int read_all(const Nvml *n, double joules[NVML_GPUS])
{
    unsigned count = 0;
    if (n->count(&count) != 0 || count > NVML_GPUS) return 0;
    for (unsigned i = 0; i < count; i++) {
        void *device = NULL;
        unsigned long long mj = 0;
        if (n->handle(i, &device) != 0 || n->energy(device, &mj) != 0) return 0;
        joules[i] = (double)mj / 1000;
    }
    return (int)count;
}

int nvml_read_energy(const char *library, double joules[NVML_GPUS])
{
    void *module = dlopen(library ? library : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    Nvml n;
    int count = 0;
    if (module && find_functions(module, &n) && n.init() == 0) {
        count = read_all(&n, joules);
        n.shutdown();
    }
    if (module) dlclose(module);
    return count;
}
