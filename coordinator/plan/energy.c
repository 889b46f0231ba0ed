#include "energy.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"

/* "intel-rapl:0" are packages, on AMD processors too; "intel-rapl:0:0" are parts of them. */
static bool read_number(const char *folder, int package, const char *name, double *out)
{
    char *path = text_format("%s/intel-rapl:%d/%s", folder, package, name);
    FILE *f = fopen(path, "re");
    const bool good = f && fscanf(f, "%lf", out) == 1 && *out >= 0;
    if (f) fclose(f);
    free(path);
    return good;
}

bool energy_read_processors(const char *folder, EnergyReading *out)
{
    if (!folder) folder = "/sys/class/powercap";
    *out = (EnergyReading){0};
    for (int i = 0; i < ENERGY_PACKAGES; i++) {
        if (!read_number(folder, i, "energy_uj", &out->uj[i])) break;
        if (!read_number(folder, i, "max_energy_range_uj", &out->range_uj[i])) break;
        out->packages++;
    }
    return out->packages > 0;
}

double energy_between(const EnergyReading *before, const EnergyReading *after)
{
    double joules = 0;
    for (int i = 0; i < before->packages && i < after->packages; i++) {
        const double uj = after->uj[i] - before->uj[i];
        joules += (uj < 0 ? uj + after->range_uj[i] : uj) / 1e6;
    }
    return joules;
}

void energy_read(EnergyReading *out)
{
    energy_read_processors(NULL, out);
    out->gpus = nvml_read_energy(NULL, out->gpu_j);
}

double energy_between_gpus(const EnergyReading *before, const EnergyReading *after)
{
    double joules = 0;
    if (before->gpus != after->gpus) return 0;
    for (int i = 0; i < after->gpus; i++)
        joules += after->gpu_j[i] > before->gpu_j[i] ? after->gpu_j[i] - before->gpu_j[i] : 0;
    return joules;
}
