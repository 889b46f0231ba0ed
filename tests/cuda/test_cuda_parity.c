/* test_cuda_parity FOLDER [fp32|bf16|all-bf16] - a whole reference on the CUDA back end without a device (see test_cuda_host.c). */
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "tests/parity/parity.h"

/* As tests/parity/test_parity.c has them, where their sources stand. */
static const struct {
    const char *name;
    DType compute, exact;
    double most[STAGES];
} kind[] = {{"bf16", BF16, F32, {0, 1.24e-2, 8.7e-3, 1.2e-2, 1e-4, 5.4e-3, 1.3e-2}},
            {"fp32", F32, F32, {0, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4}},
            {"all-bf16", BF16, BF16, {0, 1.24e-2, 9.0e-3, 1.2e-2, 1.04e-2, 9.7e-3, 1.3e-2}}};

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    int k = 0;
    for (int i = 0; argc > 2 && i < (int)(sizeof kind / sizeof *kind); i++)
        if (strcmp(argv[2], kind[i].name) == 0) k = i;
    const double *most = kind[k].most;
    const ParityRun run = {.backend = {.kind = BACKEND_CUDA, .compute = kind[k].compute, .exact = kind[k].exact}};
    ParityReport r;
    backend_register_cuda(&cuda_kernels);
    Status status = parity_run(argv[1], &run, &r);
    if (failed(status)) {
        printf("%s\n", status.message);
        return 1;
    }
    int bad = r.missing;
    for (int i = 0; i < STAGES; i++) {
        printf("%-8s %.2e, allowed %.2e (%s)\n", parity_stage_name[i], r.worst[i], most[i], r.worst_name[i]);
        bad += !(r.worst[i] <= most[i]);
    }
    printf("%d missing\n", r.missing);
    return bad > 0;
}
