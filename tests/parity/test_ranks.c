/* test_ranks [FIXTURE...]: the ranks of an MPI job render every fixture together, under every split of so many ranks that the model
 * allows, and the result is held to the same tolerances as one rank's. The latents are the same bits on every rank, and
 * each rank reads its share of the files. Run it as `mpirun -n 2 test_ranks`; ctest does with 2 and 4. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/link.h"
#include "tests/parity/parity.h"

static const char *const fixtures[] = {"t2v-0", "i2v_a14b-0", "ti2v5b_i2v-0", "flf2v-0", "vace-0"};

/* The requirements of the references (test_parity.c). Sums in another order move the last bits: measured at most 4.8e-7, 4.7e-6,
 * 3.0e-6, 7.5e-7, 2.2e-6, 5.2e-6 with 2 and 4 ranks, as with one. */
static const double most[STAGES] = {0, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4};

static int rank, failures;
static int64_t formed; /* groups so far: their numbers */

static void complain(const char *fixture, const Split *s, const char *what)
{
    printf("FAILED: %s, split %dx%dx%d: %s\n", fixture, s->guidance, s->sequence, s->tensor, what);
    failures++;
}

static void judge(const char *fixture, const Split *s, const ParityReport *r)
{
    char text[200];
    for (int i = 0; i < STAGES; i++) {
        snprintf(text, sizeof text, "%s differs by %g, expected at most %g", r->worst_name[i], r->worst[i], most[i]);
        if (!(r->worst[i] <= most[i])) complain(fixture, s, text);
    }
    snprintf(text, sizeof text, "%d recorded tensors were not produced, such as %s", r->missing, r->missing_name);
    if (r->missing) complain(fixture, s, text);
}

/* What every rank found: the same latents, and the reading divided. */
static void compare_ranks(const char *fixture, const Split *s, const ParityReport *all, int size,
                          const ParityReport *alone)
{
    for (int r = 1; r < size; r++)
        if (all[r].latents != all[0].latents) complain(fixture, s, "the latents of two ranks differ");
    for (int r = 1; r < size; r++) /* the first reads the autoencoder too */
        if (s->tensor > 1 && all[r].bytes_read * 10 > alone->bytes_read * 9)
            complain(fixture, s, "a rank reads nearly everything");
}

static Status run(const char *fixture, const int *world, const Split *s, const ParityReport *alone)
{
    char *folder = text_format("%s/%s", FIXTURES, fixture);
    const int size = s->guidance * s->sequence * s->tensor;
    Coll *group = NULL;
    ParityReport r = {0}, all[COLL_MAX_RANKS];
    Status status = coll_open_mpi(world, size, ++formed, &group);
    const ParityRun how = {
        .backend = {.kind = BACKEND_CPU, .threads = 1}, .resume_at = s->tensor > 1 ? 2 : 0, .group = group, .split = s};
    if (!failed(status)) status = parity_run(folder, &how, &r);
    if (!failed(status)) status = coll_host_gather(group, &r, sizeof r, all);
    free(folder);
    coll_close(&group);
    TRY(status_at(status, "%s, split %dx%dx%d", fixture, s->guidance, s->sequence, s->tensor));
    if (rank > 0) return status;
    judge(fixture, s, &r);
    compare_ranks(fixture, s, all, size, alone);
    printf("%-14s %dx%dx%d:", fixture, s->guidance, s->sequence, s->tensor);
    for (int i = 1; i < STAGES; i++) printf(" %s %.1e", parity_stage_name[i], r.worst[i]);
    printf("; the last rank reads %.2f and holds %.2f of what one alone does\n",
           (double)all[size - 1].bytes_read / (double)alone->bytes_read,
           (double)all[size - 1].peak_bytes / (double)alone->peak_bytes);
    fflush(stdout);
    return status;
}

/* What one rank reads and holds when it renders alone. */
static Status measure_alone(const char *fixture, ParityReport *alone)
{
    char *folder = text_format("%s/%s", FIXTURES, fixture);
    Status status = parity_run(folder, &(ParityRun){.backend = {.kind = BACKEND_CPU, .threads = 1}}, alone);
    free(folder);
    return status;
}

static Status run_splits(const char *fixture, const int *world, int size)
{
    ParityReport alone;
    TRY(measure_alone(fixture, &alone));
    for (int guidance = 1; guidance <= 2; guidance++)
        for (int tensor = 1; tensor <= 2; tensor++) { /* the fixtures have two heads */
            const Split s = {guidance, size / (guidance * tensor), tensor};
            if (s.sequence * guidance * tensor == size) TRY(run(fixture, world, &s, &alone));
        }
    return status_ok();
}

int main(int argc, char **argv)
{
    int world[COLL_MAX_RANKS];
    Link *link = NULL;
    Status status = link_open_mpi(&link);
    rank = failed(status) ? 0 : link->rank;
    for (int i = 0; !failed(status) && i < link->count; i++) world[i] = i;
    if (argc > 1)
        for (int i = 1; i < argc && !failed(status); i++) status = run_splits(argv[i], world, link->count);
    else
        for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures && !failed(status); i++)
            status = run_splits(fixtures[i], world, link->count);
    if (failed(status)) fprintf(stderr, "rank %d: %s\n", rank, status.message);
    if (failed(status) || failures) link_abort(&link, 1);
    link_close(&link);
    return 0;
}
