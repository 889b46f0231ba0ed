/* test_room.c - a model whose parts do not fit into memory together renders shot after shot, each part making room for the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "engine/parts.h"
#include "kernels/machine.h"

#define MODEL "test_room.model"
enum { SHOTS = 3, MB = 1 << 20 };

/* ---- the model: the fixture with many layers, all zero, in files that take no room on disk --------------------------------------- */

typedef struct {
    char *header;
    size_t length;
    int64_t bytes;
} Listing;

static void put(void *self, const char *name, int ndim, const int64_t *dim)
{
    Listing *l = self;
    char shape[128] = "";
    int64_t bytes = sizeof(float);
    for (int i = 0; i < ndim; i++) {
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%lld", i ? "," : "", (long long)dim[i]);
        bytes *= dim[i];
    }
    char *entry =
        text_format("%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%lld,%lld]}",
                    l->length > 1 ? "," : "", name, shape, (long long)l->bytes, (long long)(l->bytes + bytes));
    l->header = memory_resize(l->header, l->length + strlen(entry) + 2, 1);
    memcpy(l->header + l->length, entry, strlen(entry) + 1);
    l->length += strlen(entry);
    l->bytes += bytes;
    free(entry);
}

static int64_t write_zeros(const WeightPlan *plan, const char *path)
{
    Listing l = {.header = text_copy("{"), .length = 1};
    weights_list(plan, put, &l);
    l.header = memory_resize(l.header, l.length + 16, 1);
    l.header[l.length++] = '}';
    while (l.length % 8) l.header[l.length++] = ' ';
    FILE *f = fopen(path, "wb");
    const uint64_t n = l.length;
    assert_non_null(f);
    assert_int_equal(fwrite(&n, sizeof n, 1, f), 1);
    assert_int_equal(fwrite(l.header, 1, l.length, f), l.length);
    assert_int_equal(fflush(f), 0);
    assert_int_equal(ftruncate(fileno(f), (off_t)(sizeof n + l.length) + l.bytes), 0);
    assert_int_equal(fclose(f), 0);
    free(l.header);
    return l.bytes;
}

static int make_model(void **state)
{
    ModelConfig *c;
    (void)state;
    assert_int_equal(
        system("rm -rf " MODEL " && cp -r " SOURCE_DIR "/tests/parity/fixtures/t2v-0/model " MODEL
               " && sed -i 's/\"num_layers\": 2/\"num_layers\": 88/; s/\"d_ff\": 80/\"d_ff\": 4096/' " MODEL
               "/text_encoder/config.json && sed -i 's/\"num_layers\": 2/\"num_layers\": 84/;"
               " s/\"ffn_dim\": 112/\"ffn_dim\": 4096/' " MODEL "/transformer/config.json"),
        0);
    assert_int_equal(model_config_read(MODEL, &c).err, OK);
    TextEncoder *text = text_new(&c->text);
    Dit *dit = dit_new(&c->dit);
    write_zeros(text_plan(text), MODEL "/text_encoder/model.safetensors");
    write_zeros(dit_plan(dit), MODEL "/transformer/diffusion_pytorch_model.safetensors");
    text_free(&text);
    dit_free(&dit);
    model_config_free(&c);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    return system("rm -rf " MODEL);
}

/* ---- rendering ----------------------------------------------------------------------------------------------------------------- */

static Status render(Engine *e, const ShotSpec *s, const char *prompt)
{
    PromptEmbeds p = {0};
    Denoise *d = NULL;
    Decode *v = NULL;
    int64_t dim[4];
    const float *frames;
    int n = 1;
    engine_latent_dims(engine_config(e), s, dim);
    float *latents = memory_get((size_t)(dim[0] * dim[1] * dim[2] * dim[3]), sizeof *latents);
    Status status = status_ok();
    TRY_OUT(engine_encode(e, prompt, "prompt", NULL, &p));
    TRY_OUT(denoise_begin(e, s, &p, NULL, NULL, NULL, &d));
    for (int i = 0; i < s->steps; i++) TRY_OUT(denoise_step(d));
    TRY_OUT(denoise_result(d, latents));
    denoise_end(&d);
    TRY_OUT(decode_begin(e, latents, dim, NULL, &v));
    while (n) TRY_OUT(decode_next(v, &frames, &n));
out:
    decode_end(&v);
    denoise_end(&d);
    prompt_embeds_free(&p);
    free(latents);
    return status;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t of(StagePlan s) { return s.weights + s.work; }

/* In a process of its own: the limit is for good. 0: all shots were rendered; 1: not; 2: the limit would have held everything. */
static int render_in(bool limited)
{
    const BackendOptions o = {.kind = BACKEND_CPU, .threads = 1};
    Engine *e;
    EnginePlan plan;
    struct rlimit limit;
    if (failed(engine_open(MODEL, &o, &e))) return 1;
    ShotSpec s = engine_config(e)->defaults;
    s.width = s.height = 32;
    s.frames = 5;
    s.steps = 2;
    s.guidance = 1;
    if (failed(engine_plan(engine_config(e), &o, &s, INT64_MAX, &plan))) return 1;
    const int64_t most = larger(larger(of(plan.text), of(plan.denoise)), of(plan.decode)) + 130 * MB,
                  sum = plan.text.weights + plan.denoise.weights + plan.decode.weights;
    if (sum <= most) return 2;
    if (limited) { /* so much more than now */
        FILE *f = fopen("/proc/self/status", "r");
        char line[256];
        long long kib = 0;
        while (f && fgets(line, sizeof line, f)) sscanf(line, "VmData: %lld kB", &kib);
        if (!f || kib == 0) return 1;
        fclose(f);
        limit.rlim_cur = limit.rlim_max = (rlim_t)(kib * 1024 + most);
        if (setrlimit(RLIMIT_DATA, &limit) != 0) return 1;
    }
    for (int i = 0; i < SHOTS; i++) {
        char prompt[16];
        snprintf(prompt, sizeof prompt, "cat %d", i);
        Status status = render(e, &s, prompt);
        if (failed(status)) fprintf(stderr, "shot %d: %s\n", i, status.message);
        if (failed(status)) return 1;
    }
    const int64_t once =
        sum / 8 * 9; /* what is read once; the autoencoder's is packed larger than it lies in the file */
    const bool again = engine_bytes_read(e) > once;
    engine_close(&e);
    return again == limited ? 0 : 3;
}

static int outcome(bool limited)
{
    int how = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(render_in(limited));
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static void renders_what_does_not_fit_at_once(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) /* its shadow needs more addresses than any of these limits leaves */
    skip();
#endif
    assert_int_equal(outcome(true), 0);
}

static void keeps_what_fits(void **state)
{
    (void)state;
    assert_int_equal(outcome(false), 0);
}

/* This process's own limits bound what it plans with. */
/* Weights that a file has in 8 bits stay so on a CPU: a plan that counted them in bf16 would divide a shot, or read parts again, for nothing. The
 * same model in bf16 takes more. */
static void counts_what_stays_in_8_bits(void **state)
{
    (void)state;
    static const char *const folder[] = {SOURCE_DIR "/tests/parity/fixtures/calls/single-fp8/model",
                                         SOURCE_DIR "/tests/parity/fixtures/calls/single-published/model"};
    int64_t planned[2], taken[2];
    for (int i = 0; i < 2; i++) {
        const BackendOptions o = {.kind = BACKEND_CPU, .threads = 1, .compute = BF16};
        EnginePart part[ENGINE_MAX_PARTS];
        EnginePlan plan;
        Engine *e;
        assert_string_equal(engine_open(folder[i], &o, &e).message, "");
        const ShotSpec s = engine_config(e)->defaults;
        assert_string_equal(engine_plan(engine_config(e), &o, &s, INT64_MAX, &plan).message, "");
        planned[i] = plan.denoise.weights;
        assert_true(engine_measure(engine_config(e), 1, &o, part) > 1);
        assert_int_equal(part[1].rank_bytes, planned[i]);
        const int64_t before = (int64_t)backend_kept_bytes(engine_backend(e));
        assert_string_equal(engine_need(e, PART_DIT).message, "");
        taken[i] = (int64_t)backend_kept_bytes(engine_backend(e)) - before;
        engine_close(&e);
        print_message("transformer: planned %lld, taken %lld\n", (long long)planned[i], (long long)taken[i]);
    }
    assert_true(planned[0] < planned[1] && taken[0] < taken[1]);
    assert_true(planned[0] >= taken[0] / 8 * 7 && planned[0] <= taken[0] / 8 * 9); /* panels are padded */
}

static void knows_its_limits(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) /* its shadow needs more addresses than any of these limits leaves */
    skip();
#endif
    int how = 0;
    const int64_t all = machine_memory_bytes(), available = machine_available_bytes();
    assert_true(all > 0 && available > 0 && available <= all);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit limit = {(rlim_t)3 << 30, (rlim_t)3 << 30};
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(1);
        _exit(machine_memory_bytes() <= (int64_t)3 << 30 && machine_available_bytes() < (int64_t)3 << 30 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_int_equal(how, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_what_stays_in_8_bits),
                                       cmocka_unit_test(knows_its_limits), cmocka_unit_test(keeps_what_fits),
                                       cmocka_unit_test(renders_what_does_not_fit_at_once)};
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
