/* test_cuda_parity FOLDER [fp32|bf16] - a whole reference on the CUDA back end without a device (see test_cuda_host.c). */
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "tests/parity/parity.h"

/* As tests/parity/test_parity.c has them, where their sources stand. */
static const double most[2][STAGES] = {{0, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4},
                                       {0, 1.24e-2, 9.0e-3, 1.2e-2, 1.04e-2, 9.7e-3, 1.3e-2}};

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    const DType compute = argc > 2 && strcmp(argv[2], "fp32") == 0 ? F32 : BF16;
    const ParityRun run = {.backend = {.kind = BACKEND_CUDA, .compute = compute}};
    ParityReport r;
    backend_register_cuda(&cuda_kernels);
    Status status = parity_run(argv[1], &run, &r);
    if (failed(status)) {
        printf("%s\n", status.message);
        return 1;
    }
    int bad = r.missing;
    for (int i = 0; i < STAGES; i++) {
        printf("%-8s %.2e, allowed %.2e (%s)\n", parity_stage_name[i], r.worst[i], most[compute == BF16][i],
               r.worst_name[i]);
        bad += !(r.worst[i] <= most[compute == BF16][i]);
    }
    printf("%d missing\n", r.missing);
    return bad > 0;
}
