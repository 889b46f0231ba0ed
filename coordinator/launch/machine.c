#include "machine.h"

#include <glob.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/file.h"

enum { LEAST_SCRATCH_MB = 16, LEAST_ADDRESS_MB = 4096, LEAST_FILES = 256, LEAST_PROCESSES = 64 };

int machine_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

int machine_gpus(void)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES"), *given = getenv("SLURM_GPUS_ON_NODE");
    glob_t found = {0};
    int count = 0;
    if (visible && (!*visible || strcmp(visible, "-1") == 0)) return 0; /* hidden */
    if (visible) {
        for (count = 1; *visible; visible++) count += *visible == ',';
        return count;
    }
    if (given && strtol(given, NULL, 10) > 0) return (int)strtol(given, NULL, 10);
    if (glob("/dev/nvidia[0-9]*", 0, NULL, &found) == 0) count = (int)found.gl_pathc;
    globfree(&found);
    return count;
}

bool machine_has_cuda_module(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return false;
    self[n] = 0;
    char *folder = path_folder(self), *module = path_join(folder, "libreelwright_cuda.so");
    bool there = file_exists(module);
    free(folder);
    free(module);
    return there;
}

static char *scratch_obstacle(void)
{
    const char *folder = getenv("TMPDIR");
    struct statvfs disk;
    if (!folder || !*folder) folder = "/tmp";
    if (statvfs(folder, &disk) != 0 || access(folder, W_OK) != 0)
        return text_format("%s, where it keeps its session, cannot be written (TMPDIR names another folder)", folder);
    const int64_t mb = (int64_t)(disk.f_bavail * (disk.f_frsize / 512) / 2048);
    if (mb >= LEAST_SCRATCH_MB && (disk.f_files == 0 || disk.f_favail > 100)) return NULL;
    return text_format("%s, where it keeps its session, is full (%lld MB free; TMPDIR names another folder)", folder,
                       (long long)mb);
}

static char *limit_obstacle(void)
{
    static const struct {
        int what;
        rlim_t least, unit;
        const char *text;
    } limit[] = {{RLIMIT_AS, LEAST_ADDRESS_MB, 1 << 20, "MB of address space (ulimit -v)"},
                 {RLIMIT_NPROC, LEAST_PROCESSES, 1, "processes (ulimit -u)"},
                 {RLIMIT_NOFILE, LEAST_FILES, 1, "open files (ulimit -n)"}};
    struct rlimit now;
    for (size_t i = 0; i < sizeof limit / sizeof *limit; i++)
        if (getrlimit(limit[i].what, &now) == 0 && now.rlim_cur != RLIM_INFINITY &&
            now.rlim_cur / limit[i].unit < limit[i].least)
            return text_format("a limit of %llu %s; it needs at least %llu",
                               (unsigned long long)(now.rlim_cur / limit[i].unit), limit[i].text,
                               (unsigned long long)limit[i].least);
    return NULL;
}

char *machine_obstacle(void)
{
    if (access(MPIEXEC, X_OK) != 0)
        return text_format("there is no %s any more; build again (./quickstart.sh build)", MPIEXEC);
    char *why = scratch_obstacle();
    return why ? why : limit_obstacle();
}
