/* Whole renders against what diffusers computed, from the recorded token ids and the seed. */
#include <stdio.h>
#include <string.h>

#include "tests/gpu/parts.h"
#include "tests/gpu/tokenizer_recorded.h"
#include "tests/parity/parity.h"

/* As tests/parity/test_parity.c has them, where their sources stand. */
static const double most[][STAGES] = {
    [PARITY_FP32] = {0, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4},
    [PARITY_BF16] = {0, 1.24e-2, 9.0e-3, 1.2e-2, 1.04e-2, 9.7e-3, 1.3e-2},
    /* with the blocks' products in fp8: at most 6.1e-2, 7.4e-2, 4.6e-2, 5.4e-2 over three kinds */
    [PARITY_FP8] = {0, 1.24e-2, 8e-2, 1e-1, 1.04e-2, 6e-2, 8e-2}};

bool parity_part_print(const char *folder, const char *how, ParityType type, Status status, const ParityReport *r)
{
    const char *slash = strrchr(folder, '/');
    bool ok = !failed(status) && r->missing == 0;
    printf("{\"part\": \"parity\", \"reference\": \"%s\", \"how\": \"%s\"", slash ? slash + 1 : folder, how);
    for (int i = 0; i < STAGES && !failed(status); i++) {
        const double limit = most[type][i];
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
    static const char *const name[] = {[PARITY_FP32] = "fp32", [PARITY_BF16] = "bf16", [PARITY_FP8] = "fp8"};
    const ParityType type = gpu_flag(argc, argv, "--fp32")  ? PARITY_FP32
                            : gpu_flag(argc, argv, "--fp8") ? PARITY_FP8
                                                            : PARITY_BF16;
    int bad = 0;
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        const ParityRun run = {.backend = {.kind = gpu_backend(),
                                           .compute = type == PARITY_FP32 ? F32 : BF16,
                                           .quantized = type == PARITY_FP8 ? E4M3 : F32}};
        ParityReport report = {0};
        tokenizer_recorded_use(argv[i]);
        Status status = parity_run(argv[i], &run, &report);
        bad += !parity_part_print(argv[i], name[type], type, status, &report);
    }
    return bad > 0;
}
