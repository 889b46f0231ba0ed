/* nvml_stand_in.c - a library with NVML's names, for a machine without one: two GPUs, of which each reading finds 1500 and 2500 mJ more used. With
 * NVML_STAND_IN=fails the second does not count. */
#include <stdlib.h>
#include <string.h>

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj);

enum { UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, GPUS = 2 };
static unsigned long long used[GPUS] = {7000000, 9000000};
static int open_count;

int nvmlInit_v2(void) { return open_count++, 0; }
int nvmlShutdown(void) { return open_count-- > 0 ? 0 : UNINITIALIZED; }

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = GPUS;
    return open_count ? 0 : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    if (index >= GPUS || !open_count) return INVALID_ARGUMENT;
    *device = &used[index];
    return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj)
{
    unsigned long long *gpu = device;
    const char *how = getenv("NVML_STAND_IN");
    if (gpu == &used[1] && how && strcmp(how, "fails") == 0) return NOT_SUPPORTED;
    *gpu += gpu == &used[0] ? 1500 : 2500;
    *mj = *gpu;
    return 0;
}
