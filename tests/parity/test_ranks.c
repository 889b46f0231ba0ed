/* test_ranks [FIXTURE...]: the ranks of an MPI job render every fixture together, under every split of so many ranks that the model
 * allows, and the result is held to the same tolerances as one rank's. The latents are the same bits on every rank, and
 * each rank reads its share of the files. Then what a larger shot takes on each rank is compared with what was planned. Run it as `mpirun -n 2 test_ranks`; ctest does with 2 and 4. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/link.h"
#include "tests/parity/parity.h"
#include "tests/parity/s2v.h"
#include "tests/parity/voices.h"

static const char *const fixtures[] = {"t2v-0",   "i2v_a14b-0", "ti2v5b_i2v-0",
                                       "flf2v-0", "vace-0",     "calls/lora-experts"};

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
    if (s->tensor == size && (all[0].bytes_read + all[1].bytes_read - alone->bytes_read) * 5 > alone->bytes_read)
        complain(fixture, s, "more than what is whole on both ranks is read twice");
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

/* ---- four heads: the pocket model, compared with itself ---------------------------------------------------------------- */

/* -> latents after two steps, *count of them (free() them). split NULL: alone. */
static Status render_pocket(const int *world, const Split *s, float **latents, int64_t *count)
{
    Coll *group = coll_self();
    Engine *e = NULL;
    Denoise *d = NULL;
    PromptEmbeds p[2] = {{0}};
    ShotSpec shot = {0};
    int64_t dim[4];
    const BackendOptions o = {.kind = BACKEND_CPU, .threads = 1};
    Status status = status_ok();
    if (s) TRY(coll_open_mpi(world, s->guidance * s->sequence * s->tensor, ++formed, &group));
    TRY_OUT(engine_open_group(POCKET, &o, group, s, NULL, &e));
    shot_copy(&shot, &engine_config(e)->defaults);
    shot.width = 64, shot.height = 48, shot.frames = 9, shot.steps = 2, shot.guidance = 3;
    TRY_OUT(engine_encode(e, "a red balloon over a lake", "prompt", NULL, &p[0]));
    TRY_OUT(engine_encode(e, "", "negative", NULL, &p[1]));
    TRY_OUT(denoise_begin(e, &shot, &p[0], &p[1], NULL, NULL, &d));
    for (int i = 0; i < shot.steps; i++) TRY_OUT(denoise_step(d));
    denoise_dims(d, dim);
    *count = dim[0] * dim[1] * dim[2] * dim[3];
    *latents = memory_get((size_t)*count, sizeof **latents);
    TRY_OUT(denoise_result(d, *latents));
out:
    denoise_end(&d);
    prompt_embeds_free(&p[0]);
    prompt_embeds_free(&p[1]);
    shot_clear(&shot);
    engine_close(&e);
    coll_close(&group);
    return status;
}

static Status check_pocket(const int *world, int size)
{
    const Split splits[] = {{1, 1, size}, {1, size, 1}, {2, size / 2, 1}};
    float *alone = NULL, *together = NULL;
    int64_t count;
    Status status = render_pocket(world, NULL, &alone, &count);
    for (size_t i = 0; i < sizeof splits / sizeof *splits && !failed(status); i++) {
        double difference = 0, whole = 0;
        status = render_pocket(world, &splits[i], &together, &count);
        for (int64_t k = 0; k < count && !failed(status); k++) {
            difference += pow((double)together[k] - (double)alone[k], 2);
            whole += pow((double)alone[k], 2);
        }
        free(together);
        together = NULL;
        const double ratio = sqrt(difference / whole); /* 3e-6: what two orders of summing make of two steps */
        if (rank == 0 && !failed(status))
            printf("pocket         %dx%dx%d: latents %.1e from one rank's\n", splits[i].guidance, splits[i].sequence,
                   splits[i].tensor, ratio);
        if (!failed(status) && !(ratio < 1e-4)) complain("pocket", &splits[i], "the latents differ from one rank's");
    }
    free(alone);
    return status;
}

/* ---- a model that speaks: one evaluation, against diffsynth -------------------------------------------------------------- */

static Status check_s2v(const int *world, int size)
{
    static const struct {
        const char *name;
        int heads;
    } model[] = {{"two-heads", 2}, {"four-heads", 4}};
    const BackendOptions o = {.kind = BACKEND_CPU, .threads = 1};
    for (size_t i = 0; i < sizeof model / sizeof *model; i++)
        for (int tensor = 1; tensor <= size; tensor *= 2) {
            const Split s = {1, size / tensor, tensor};
            Coll *group = NULL;
            S2vReport r = {0};
            if (model[i].heads % tensor) continue;
            char *folder = text_format("%s/s2v/%s", FIXTURES, model[i].name);
            Status status = coll_open_mpi(world, size, ++formed, &group);
            if (!failed(status)) status = s2v_compare(folder, &o, group, &s, &r);
            coll_close(&group);
            free(folder);
            TRY(status_at(status, "%s, split %dx%dx%d", model[i].name, 1, s.sequence, tensor));
            if (rank == 0)
                printf("%-14s %dx%dx%d: velocity %.1e, inside %.1e\n", model[i].name, 1, s.sequence, tensor, r.velocity,
                       r.inside);
            if (!(r.velocity <= 1e-4) || !(r.inside <= 1e-4)) complain(model[i].name, &s, "differs from diffsynth");
        }
    return status_ok();
}

/* ---- what is heard: two ranks with two heads, and with three ------------------------------------------------------------- */

static Status check_voices(const int *world, int size)
{
    static const char *const kinds[] = {"old", "new"};
    const Split s = {1, 1, size};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && size == 2; i++) {
        char *folder = text_format("%s/speech/%s", FIXTURES, kinds[i]);
        Coll *group = NULL;
        double worst = 1;
        Status status = coll_open_mpi(world, size, ++formed, &group);
        if (!failed(status))
            status = voices_compare(folder, &(BackendOptions){.kind = BACKEND_CPU, .threads = 1}, group, &worst);
        coll_close(&group);
        free(folder);
        TRY(status_at(status, "%s", kinds[i]));
        if (rank == 0) printf("voices %s: %.1e\n", kinds[i], worst);
        if (!(worst <= 1e-5)) complain(kinds[i], &s, "what is heard differs from transformers and diffsynth");
    }
    return status_ok();
}

/* Two clips by two ranks, each with a branch of the guidance or half of the weights: the first one decodes and encodes between them. */
static Status check_chain(const int *world, int size)
{
    const Split splits[] = {{2, 1, 1}, {1, 1, 2}};
    for (size_t i = 0; i < sizeof splits / sizeof *splits && size == 2; i++) {
        Coll *group = NULL;
        S2vChainReport r = {0}, all[COLL_MAX_RANKS];
        Status status = coll_open_mpi(world, size, ++formed, &group);
        const ParityRun run = {.backend = {.kind = BACKEND_CPU, .threads = 1}, .group = group, .split = &splits[i]};
        if (!failed(status)) status = s2v_chain(FIXTURES "/s2v/two-heads/model", FIXTURES "/s2v/chain", &run, &r);
        if (!failed(status)) status = coll_host_gather(group, &r, sizeof r, all);
        coll_close(&group);
        TRY(status_at(status, "chain, split %zu", i));
        if (all[0].sum != all[1].sum) complain("chain", &splits[i], "the clips of two ranks differ");
        if (rank == 0)
            printf("chain          %dx%dx%d: model %.1e, latents %.1e, video %.1e\n", splits[i].guidance,
                   splits[i].sequence, splits[i].tensor, r.model, r.latents, r.video);
        if (rank == 0 && (!(r.model <= 1e-4) || !(r.latents <= 1e-4) || !(r.video <= 1e-4)))
            complain("chain", &splits[i], r.where);
    }
    return status_ok();
}

/* ---- memory: planned, and taken ---------------------------------------------------------------------------------------- */

typedef struct {
    int64_t planned, taken, weights;
} Memory;

/* One step of a shot that is large enough for what each thread takes for itself to be little. */
static Status take_step(Engine *e, const ShotSpec *s)
{
    const int width = engine_config(e)->text.d_model;
    PromptEmbeds p = {memory_get(512 * (size_t)width, sizeof(float)), 512, width};
    Denoise *d = NULL;
    Status status = denoise_begin(e, s, &p, &p, NULL, NULL, &d);
    if (!failed(status)) status = denoise_step(d);
    denoise_end(&d);
    prompt_embeds_free(&p);
    return status;
}

static Status measure_memory(const int *world, const Split *s, Memory all[])
{
    Memory own = {0};
    Coll *group = NULL;
    Engine *e = NULL;
    EnginePlan plan;
    const BackendOptions o = {.kind = BACKEND_CPU, .threads = 1};
    char *folder = text_format("%s/t2v-0/model", FIXTURES);
    Status status = status_ok();
    ShotSpec shot = {0};
    TRY_OUT(coll_open_mpi(world, s->guidance * s->sequence * s->tensor, ++formed, &group));
    TRY_OUT(engine_open_group(folder, &o, group, s, NULL, &e));
    shot_copy(&shot, &engine_config(e)->defaults);
    shot.width = 256, shot.height = 192, shot.frames = 13, shot.steps = 1, shot.guidance = 3;
    TRY_OUT(engine_plan_rank(engine_config(e), &o, &shot, s, INT64_MAX, &plan));
    TRY_OUT(take_step(e, &shot));
    own = (Memory){plan.denoise.weights + plan.denoise.work, (int64_t)backend_peak_bytes(engine_backend(e)),
                   (int64_t)backend_kept_bytes(engine_backend(e))};
    status = coll_host_gather(group, &own, sizeof own, all);
out:
    shot_clear(&shot);
    engine_close(&e);
    coll_close(&group);
    free(folder);
    return status;
}

static Status check_memory(const int *world, int size)
{
    const Split one = {1, 1, 1};
    Memory alone[1], all[COLL_MAX_RANKS];
    const int own[1] = {rank};
    TRY(measure_memory(own, &one, alone));
    for (int tensor = 1; tensor <= 2; tensor++) {
        const Split s = {1, size / tensor, tensor};
        TRY(measure_memory(world, &s, all));
        const double weights = (double)all[size - 1].weights / (double)alone->weights;
        for (int r = 0; r < size; r++) { /* the last rank's plan; shares differ by a head's worth */
            const double ratio = (double)all[r].taken / (double)all[r].planned;
            if (ratio < 0.8 || ratio > 1.15) complain("memory", &s, "what a rank takes is not what was planned");
            if (all[r].taken >= alone->taken) complain("memory", &s, "a rank takes as much as one alone");
        }
        if (tensor == 2 && weights > 0.6) complain("memory", &s, "the weights do not fall with the tensor ranks");
        if (rank == 0)
            printf("memory         %dx%dx%d: weights %.2f, in all %.2f of one rank's; %.2f of what was planned\n",
                   s.guidance, s.sequence, s.tensor, weights, (double)all[size - 1].taken / (double)alone->taken,
                   (double)all[size - 1].taken / (double)all[size - 1].planned);
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
    if (!failed(status) && argc == 1) status = check_pocket(world, link->count);
    if (!failed(status) && argc == 1) status = check_s2v(world, link->count);
    if (!failed(status) && argc == 1) status = check_chain(world, link->count);
    if (!failed(status) && argc == 1) status = check_voices(world, link->count);
    if (!failed(status) && argc == 1) status = check_memory(world, link->count);
    if (failed(status)) fprintf(stderr, "rank %d: %s\n", rank, status.message);
    if (failed(status) || failures) link_abort(&link, 1);
    link_close(&link);
    return 0;
}
