/* Whole renders against what diffusers computed, from the recorded token ids and the seed. */
#include <stdio.h>
#include <string.h>

#include "tests/gpu/parts.h"
#include "tests/gpu/tokenizer_recorded.h"
#include "tests/parity/parity.h"

/* As tests/parity/test_parity.c has them, where their sources stand. */
static const double most[2][STAGES] = {{0, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4},
                                       {0, 1.24e-2, 9.0e-3, 1.2e-2, 1.04e-2, 9.7e-3, 1.3e-2}};

bool parity_part_print(const char *folder, const char *how, DType compute, Status status, const ParityReport *r)
{
    const char *slash = strrchr(folder, '/');
    bool ok = !failed(status) && r->missing == 0;
    printf("{\"part\": \"parity\", \"reference\": \"%s\", \"how\": \"%s\"", slash ? slash + 1 : folder, how);
    for (int i = 0; i < STAGES && !failed(status); i++) {
        const double limit = most[compute == BF16][i];
        ok = ok && r->worst[i] <= limit;
        printf(", \"%s\": [%.2e, %.1e]", parity_stage_name[i], r->worst[i] < 1e30 ? r->worst[i] : 1e30, limit);
    }
    if (failed(status)) {
        printf(", \"error\": ");
        gpu_print_text(status.message);
    } else {
        printf(", \"missing\": %d, \"seconds\": %.2f", r->missing, r->seconds);
    }
    printf(", \"ok\": %s}\n", ok ? "true" : "false");
    return ok;
}

int part_parity(int argc, char **argv)
{
    const DType compute = gpu_flag(argc, argv, "--fp32") ? F32 : BF16;
    int bad = 0;
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        const ParityRun run = {.backend = {.kind = gpu_backend(), .compute = compute}};
        ParityReport report = {0};
        tokenizer_recorded_use(argv[i]);
        Status status = parity_run(argv[i], &run, &report);
        bad += !parity_part_print(argv[i], compute == F32 ? "fp32" : "bf16", compute, status, &report);
    }
    return bad > 0;
}
