/* parity_compare [--cpu] [--bf16] [--bf16-vae] [--resume-at N] [--verbose] FOLDER... - one line of worst ratios per reference folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/parity/parity.h"

static void print(const char *folder, const ParityReport *r)
{
    const char *slash = strrchr(folder, '/');
    printf("%-14s", slash ? slash + 1 : folder);
    for (int i = 0; i < STAGES; i++)
        if (r->compared[i]) printf(" %s %.1e (%d)", parity_stage_name[i], r->worst[i], r->compared[i]);
    if (r->missing) printf(" missing %d (%s)", r->missing, r->missing_name);
    printf(" %.1f s\n", r->seconds);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    ParityRun run = {.backend = {.kind = BACKEND_REF}};
    int failures = 0;
    for (int i = 1; i < argc; i++) {
        ParityReport report;
        if (strcmp(argv[i], "--cpu") == 0) {
            run.backend.kind = BACKEND_CPU;
        } else if (strcmp(argv[i], "--bf16") == 0) {
            run.backend.compute = BF16;
        } else if (strcmp(argv[i], "--bf16-vae") == 0) {
            run.backend.compute = run.backend.exact = BF16;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            run.verbose = true;
        } else if (strcmp(argv[i], "--resume-at") == 0 && i + 1 < argc) {
            run.resume_at = atoi(argv[++i]);
        } else {
            Status status = parity_run(argv[i], &run, &report);
            if (failed(status)) printf("%s: %s\n", argv[i], status.message);
            if (failed(status)) failures++;
            if (!failed(status)) print(argv[i], &report);
        }
    }
    return failures > 0;
}
