/* `reelwright render` and `inspect` as a user runs them: exit status, messages, files. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <hdf5.h>
#include <jansson.h>

#include "common/file.h"
#include "common/hash.h"
#include "engine/weights/safetensors.h"

enum { MAX_ARGUMENTS = 64 };
#define FIXTURE FIXTURES "/t2v-0"
static const char prompt[] = "A small red cat walks slowly over the old bridge, and the wind moves the tall grass.",
                  negative[] = "blurry, grey, static frame";

/* ---- running it --------------------------------------------------------------------------------------------------------- */

static pid_t start_program(const char *const *list, const char *out, const char *err)
{
    char *argv[MAX_ARGUMENTS] = {PROGRAM};
    for (int i = 0; list[i]; i++) argv[i + 1] = (char *)(uintptr_t)list[i];
    pid_t pid = fork();
    if (pid) return pid;
    int o = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666), e = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (o < 0 || e < 0 || dup2(o, STDOUT_FILENO) < 0 || dup2(e, STDERR_FILENO) < 0) _exit(126);
    execv(PROGRAM, argv);
    _exit(127);
}

static int wait_for(pid_t pid)
{
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static char *text_of(const char *file)
{
    char *text;
    size_t n;
    assert_int_equal(file_read(file, 1 << 20, &text, &n).err, OK);
    return text;
}

/* The words of a render of the fixture's clip, with those of `more` after them (which win). */
static void render_words(const char **list, const char *output, const char *const *more)
{
    const char *const base[] = {
        "render",   "--model", FIXTURE "/model", "--prompt",  prompt,    "--negative", negative,     "--width", "64",
        "--height", "48",      "--frames",       "9",         "--steps", "4",          "--guidance", "4",       "--fps",
        "8",        "--seed",  "1000",           "--threads", "1",       "--output"};
    int n = 0;
    for (size_t i = 0; i < sizeof base / sizeof *base; i++) list[n++] = base[i];
    list[n++] = output;
    for (int i = 0; more[i]; i++) list[n++] = more[i];
    list[n] = NULL;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Exit status of a render; its messages are in "err". */
static int render(const char *output, const char *const *more)
{
    const char *list[MAX_ARGUMENTS];
    render_words(list, output, more);
    return wait_for(start_program(list, "out", "err"));
}

static void assert_good(int status)
{
    if (status == 0) return;
    fail_msg("exit status %d: %s", status, text_of("err"));
}

static void assert_same_file(const char *a, const char *b)
{
    char x[HASH_TEXT], y[HASH_TEXT];
    assert_int_equal(hash_file(a, x).err, OK);
    assert_int_equal(hash_file(b, y).err, OK);
    assert_string_equal(x, y);
}

static int steps_resumed(void)
{
    char *text = text_of("out");
    json_t *j = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(j);
    int n = (int)json_integer_value(json_object_get(j, "steps_resumed"));
    json_decref(j);
    return n;
}

/* ---- what is refused ------------------------------------------------------------------------------------------------------ */

static void refuses_bad_input_before_anything_starts(void **state)
{
    static const struct {
        const char *words[6], *message;
    } row[] = {
        {{"--frames", "30"}, "frames = 30, expected 4k+1 (29 or 33)"},
        {{"--frames", "9x"}, "--frames 9x: expected a whole number"},
        {{"--width", "50"}, "width = 50, expected a multiple of 16"},
        {{"--steps", "0"}, "--steps 0: expected 1 to 1000"},
        {{"--guidance-2", "3"}, "no second transformer"},
        {{"--split", "2x1x1"}, "the product is not --group-size 1"},
        {{"--image", "x.png"}, "--image"},
        {{"--reference", "x.png"}, "--reference"},
        {{"--backend", "gpu"}, "--backend gpu: expected cpu|cuda|ref"},
        {{"--resume"}, "--resume: expected --checkpoint"},
        {{"--noise", "missing.h5"}, "missing.h5"},
        {{"--model", "."}, "model_index.json"},
        {{"--model", "missing"}, "missing"},
        {{"--output", "no/folder/x.mp4"}, "no/folder/x.mp4"},
        {{"--output", "."}, "expected a file"},
        {{"--trace", "no/folder/x.h5"}, "no/folder/x.h5"},
        {{"--output", "/proc/x.mp4"}, "--output"}, /* no room there, or no right to write */
        {{"--colour", "red"}, "--colour: unknown option"},
        {{"extra"}, "unexpected \"extra\""},
    };
    (void)state;
    unlink("refused.mp4");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int status = render("refused.mp4", row[i].words);
        char *text = text_of("err");
        if (status != 2 || !strstr(text, row[i].message))
            fail_msg("%s: exit status %d, expected 2 and \"%s\": %s", row[i].words[0], status, row[i].message, text);
        free(text);
        assert_false(file_exists("refused.mp4"));
    }
}

static void keeps_a_group_on_one_host(void **state)
{
    (void)state;
    FILE *f = fopen("groups.hosts", "w");
    assert_non_null(f);
    fprintf(f, "here slots=4\nthere slots=3\n");
    assert_int_equal(fclose(f), 0);
    int status = wait_for(start_program(
        WORDS("run", CAMPAIGNS "/postcards.yaml", "--out", "groups", "--hostfile", "groups.hosts", "--group-size", "2"),
        "out", "err"));
    char *text = text_of("err");
    assert_int_equal(status, 2);
    assert_non_null(strstr(text, "host there: 3 workers"));
    assert_false(file_exists("groups"));
    free(text);
}

static void suggests_the_verb_that_was_meant(void **state)
{
    (void)state;
    assert_int_equal(wait_for(start_program(WORDS("rendre"), "out", "err")), 2);
    char *text = text_of("err");
    assert_non_null(strstr(text, "did you mean \"render\"?"));
    free(text);
    assert_int_equal(wait_for(start_program(WORDS("--help"), "out", "err")), 0);
    assert_int_equal(wait_for(start_program(WORDS("render", "--help"), "out", "err")), 0);
    text = text_of("out");
    int lines = 0;
    for (char *p = text; *p; p++) lines += *p == '\n';
    assert_true(lines <= 40); /* a screen */
    free(text);
}

/* ---- what is computed ------------------------------------------------------------------------------------------------------- */

static bool must_be_equal(const char *name)
{
    return strstr(name, ".ids") || strstr(name, "timestep") || strcmp(name, "noise") == 0 ||
           strcmp(name, "sigmas") == 0;
}

static double tolerance(const char *name)
{
    if (strstr(name, "trace.") == name) return 1e-4; /* measured 5e-6, some timesteps' embeddings among them */
    if (must_be_equal(name)) return 0;
    return strstr(name, ".embeds") ? 1e-5 : 1e-4; /* measured 4e-7; 5e-6 */
}

/* rms of the difference over the reference's rms */
static double difference(const StoredTensor *want, hid_t set)
{
    size_t count = want->bytes / (want->type == STORED_I64 ? 8 : 4);
    double above = 0, below = 0;
    double *got = malloc(count * sizeof *got);
    assert_non_null(got);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, got) >= 0);
    for (size_t i = 0; i < count; i++) {
        int64_t whole;
        float real;
        memcpy(&whole, (const char *)want->data + (want->type == STORED_I64 ? i * 8 : 0),
               8 * (want->type == STORED_I64));
        memcpy(&real, (const char *)want->data + (want->type == STORED_I64 ? 0 : i * 4), 4);
        double x = want->type == STORED_I64 ? (double)whole : (double)real;
        above += (got[i] - x) * (got[i] - x);
        below += x * x;
    }
    free(got);
    return below > 0 ? sqrt(above / below) : sqrt(above);
}

static void compare_tensor(hid_t file, const StoredTensor *want)
{
    hid_t set = H5Dopen2(file, want->name, H5P_DEFAULT);
    if (set < 0) fail_msg("%s is missing from the trace", want->name);
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    hsize_t size[8] = {0};
    assert_int_equal(H5Sget_simple_extent_ndims(space), want->ndim);
    H5Sget_simple_extent_dims(space, size, NULL);
    for (int i = 0; i < want->ndim; i++) assert_int_equal(size[i], want->dim[i]);
    assert_true(H5Tequal(type, want->type == STORED_I64 ? H5T_STD_I64LE : H5T_IEEE_F32LE) > 0);
    double d = difference(want, set), most = tolerance(want->name);
    if (!(d <= most)) fail_msg("%s: off by %.2e, at most %.0e allowed", want->name, d, most);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
}

static void compare_trace(const char *fixture)
{
    char *path = text_format("%s/reference.safetensors", fixture);
    Safetensors *want;
    assert_int_equal(safetensors_open_file(path, &want).err, OK);
    hid_t file = H5Fopen("trace.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    for (int k = 0; k < safetensors_count(want); k++)
        if (strncmp(safetensors_at(want, k)->name, "in.", 3) != 0) /* the pictures that were given */
            compare_tensor(file, safetensors_at(want, k));
    H5Fclose(file);
    safetensors_close(&want);
    free(path);
}

#define TRACED "--trace", "trace.h5", "--trace-blocks"

static void traces_what_diffusers_computes(void **state)
{
    static const char *const backend[] = {"cpu", "ref"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_good(render("traced.mp4", WORDS(TRACED, "--backend", backend[i])));
        compare_trace(FIXTURE);
    }
}

/* From text, picture and video files alone: first frame; first and last; two experts; control video, mask and reference. */
static void renders_from_pictures_what_diffusers_renders(void **state)
{
    (void)state;
#define OTHER(name, ...)                                                                                               \
    assert_good(render("traced.mp4", WORDS(TRACED, "--model", FIXTURES "/" name "/model", __VA_ARGS__)));              \
    compare_trace(FIXTURES "/" name)
    OTHER("ti2v5b_i2v-0", "--image", FIXTURES "/ti2v5b_i2v-0/image.png", "--width", "96", "--height", "64");
    OTHER("flf2v-0", "--image", FIXTURES "/flf2v-0/image.png", "--last-image", FIXTURES "/flf2v-0/image_last.png");
    OTHER("i2v_a14b-0", "--image", FIXTURES "/i2v_a14b-0/image.png", "--guidance", "3.5");
    OTHER("vace-0", "--reference", FIXTURES "/vace-0/ref.png", "--control-video", FIXTURES "/vace-0/video",
          "--control-mask", FIXTURES "/vace-0/mask", "--control-scale", "1,0.75");
    assert_int_equal(
        render("x.mp4", WORDS("--model", FIXTURES "/flf2v-0/model", "--image", FIXTURES "/flf2v-0/image.png")), 2);
    assert_int_equal(render("x.mp4", WORDS("--model", FIXTURES "/vace-0/model", "--control-scale", "1,2,3")), 2);
    assert_int_equal(
        render("x.mp4", WORDS("--model", FIXTURES "/vace-0/model", "--control-mask", FIXTURES "/vace-0/mask")), 2);
}

/* Noise from a file is the seed's noise when the file holds it; and a trace is such a file. */
static void takes_noise_from_a_file(void **state)
{
    (void)state;
    assert_good(render("seeded.mp4", WORDS("--trace", "trace.h5")));
    assert_good(render("given.mp4", WORDS("--noise", "trace.h5", "--seed", "7")));
    assert_same_file("seeded.mp4", "given.mp4");
    assert_int_equal(render("given.mp4", WORDS("--noise", "trace.h5", "--frames", "5")), 2);
    char *text = text_of("err");
    assert_non_null(strstr(text, "/noise is [1,16,3,6,8], expected [16,2,6,8]"));
    free(text);
}

/* ---- stopping and going on ------------------------------------------------------------------------------------------------------ */

enum { MANY = 60 };
#define MANY_STEPS "--steps", "60", "--checkpoint", "state.h5", "--checkpoint-every", "1", "--json"

/* Starts a long render, waits for its first checkpoint, sends the signal. */
static int stop_with(int signal_number)
{
    const char *list[MAX_ARGUMENTS];
    unlink("state.h5");
    render_words(list, "stopped.mp4", WORDS(MANY_STEPS));
    pid_t pid = start_program(list, "out", "err");
    for (int ms = 0; !file_exists("state.h5") && ms < 60000; ms++) usleep(1000);
    kill(pid, signal_number);
    return wait_for(pid);
}

static void goes_on_where_it_was_stopped(void **state)
{
    static const struct {
        int signal_number, status;
    } row[] = {{SIGTERM, 75}, {SIGUSR1, 75}, {SIGKILL, -SIGKILL}};
    (void)state;
    unlink("state.h5");
    assert_good(render("whole.mp4", WORDS(MANY_STEPS)));
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        unlink("stopped.mp4");
        assert_int_equal(stop_with(row[i].signal_number), row[i].status);
        assert_false(file_exists("stopped.mp4"));
        assert_good(render("stopped.mp4", WORDS(MANY_STEPS, "--resume")));
        int resumed = steps_resumed();
        if (resumed < 1 || resumed > MANY) fail_msg("%d steps resumed", resumed);
        assert_same_file("whole.mp4", "stopped.mp4");
    }
}

/* What another kind began starts anew, unless it may be mixed; what another kind finished is only decoded. */
static void keeps_a_shot_to_one_kind(void **state)
{
    char *text;
    (void)state;
    assert_good(render("whole.mp4", WORDS(MANY_STEPS, "--backend", "ref")));
    assert_int_equal(stop_with(SIGTERM), 75);
    assert_good(render("stopped.mp4", WORDS(MANY_STEPS, "--resume", "--backend", "ref")));
    assert_int_equal(steps_resumed(), 0);
    text = text_of("err");
    if (!strstr(text, "begun by \"cpu AVX") || !strstr(text, "and this is \"ref 1x1x1\"")) fail_msg("%s", text);
    free(text);
    assert_same_file("whole.mp4", "stopped.mp4");
    assert_int_equal(stop_with(SIGTERM), 75);
    assert_good(render("stopped.mp4", WORDS(MANY_STEPS, "--resume", "--mixed", "--backend", "ref")));
    assert_true(steps_resumed() > 0);
    assert_good(render("stopped.mp4", WORDS(MANY_STEPS, "--resume")));
    assert_int_equal(steps_resumed(), MANY);
}

/* In bf16 the autoencoder stays in fp32 unless it is asked for. Finished latents can be decoded in either. */
static void keeps_the_autoencoder_in_fp32(void **state)
{
    char x[HASH_TEXT], y[HASH_TEXT];
    (void)state;
    assert_good(render("vae32.mp4", WORDS("--dtype", "bf16", "--checkpoint", "vae.h5")));
    assert_good(render("vae32_asked.mp4", WORDS("--dtype", "bf16", "--vae-dtype", "fp32")));
    assert_good(render(
        "vae16.mp4", WORDS("--dtype", "bf16", "--vae-dtype", "bf16", "--checkpoint", "vae.h5", "--resume", "--json")));
    assert_int_equal(steps_resumed(), 4);
    assert_same_file("vae32.mp4", "vae32_asked.mp4");
    assert_int_equal(hash_file("vae32.mp4", x).err, OK);
    assert_int_equal(hash_file("vae16.mp4", y).err, OK);
    assert_string_not_equal(x, y);
}

/* What `inspect` says of a file of weights. */
static json_t *inspect_file(const char *path)
{
    const char *words[] = {"inspect", path, "--json", NULL};
    assert_good(wait_for(start_program(words, "out", "err")));
    char *text = text_of("out");
    json_t *j = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(j);
    return j;
}

static void says_what_a_file_of_weights_is(void **state)
{
    static const struct {
        const char *file, *part, *stored;
    } row[] = {{"/calls/single-published/model/transformer/wan-published.safetensors", "transformer", "F32 100 %"},
               {"/calls/single-fp8/model/transformer/wan-fp8.safetensors", "transformer", "F8_E4M3"},
               {"/calls/single-gguf/model/transformer/wan-gguf.gguf", "transformer", "Q8_0"},
               {"/calls/single-fp8/model/text_encoder/umt5_fp8.safetensors", "text_encoder", "F8_E4M3"},
               {"/calls/single-gguf/model/text_encoder/umt5_gguf.gguf", "text_encoder", "F16"},
               {"/calls/single-published/model/vae/wan_2.1_vae.safetensors", "vae", "F32 100 %"},
               {"/flf2v-0/model/image_encoder/model.safetensors", "image_encoder", "F32 100 %"},
               {"/flf2v-0/model/transformer/diffusion_pytorch_model.safetensors", "transformer", "F32 100 %"},
               {"/vace-0/model/transformer/diffusion_pytorch_model.safetensors", "transformer", "BF16"},
               {"/calls/lora-published/lora0.safetensors", "adapter", "F32 100 %"}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char *path = text_format("%s%s", FIXTURES, row[i].file);
        json_t *j = inspect_file(path);
        const char *part = json_string_value(json_object_get(j, "part"));
        if (strcmp(part, row[i].part) != 0) fail_msg("%s: %s", path, part);
        if (!strstr(json_string_value(json_object_get(j, "stored_as")), row[i].stored))
            fail_msg("%s: %s", path, json_string_value(json_object_get(j, "stored_as")));
        if (!json_is_true(json_object_get(j, "whole")))
            fail_msg("%s: %s", path, json_string_value(json_object_get(j, "fault")));
        json_decref(j);
        free(path);
    }
}

/* A file that lacks a tensor, one of another program, and PyTorch's. */
static void says_what_is_wrong_with_a_file_of_weights(void **state)
{
    (void)state;
    static const char header[] =
        "{\"blocks.0.self_attn.q.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    FILE *f = fopen("part.safetensors", "wb");
    const uint64_t length = sizeof header - 1;
    fwrite(&length, 1, sizeof length, f);
    fputs(header, f);
    fwrite("\0\0\0", 1, 4, f);
    fclose(f);
    json_t *j = inspect_file("part.safetensors");
    assert_true(json_is_false(json_object_get(j, "whole")));
    assert_non_null(strstr(json_string_value(json_object_get(j, "fault")), "missing"));
    json_decref(j);
    f = fopen("wan.pth", "wb");
    fputs("PK\3\4 and so on", f);
    fclose(f);
    assert_int_equal(wait_for(start_program(WORDS("inspect", "wan.pth"), "out", "err")), 2);
    char *text = text_of("err");
    assert_non_null(strstr(text, "wan.pth: a PyTorch file, which is a program"));
    assert_non_null(strstr(text, "save_file"));
    free(text);
}

static void warns_of_a_damaged_checkpoint_and_starts_again(void **state)
{
    (void)state;
    char *bytes, *text;
    size_t n;
    assert_good(render("whole.mp4", WORDS("--checkpoint", "state.h5")));
    assert_int_equal(file_read("state.h5", 1 << 24, &bytes, &n).err, OK);
    bytes[n / 3] ^= 4;
    assert_int_equal(file_replace("state.h5", bytes, n).err, OK);
    free(bytes);
    assert_int_equal(wait_for(start_program(WORDS("inspect", "state.h5"), "out", "err")), 2);
    assert_good(render("stopped.mp4", WORDS("--checkpoint", "state.h5", "--resume")));
    text = text_of("err");
    assert_non_null(strstr(text, "warning: state.h5: damaged checkpoint"));
    free(text);
    assert_same_file("whole.mp4", "stopped.mp4");
    assert_int_equal(wait_for(start_program(WORDS("inspect", "state.h5"), "out", "err")), 0);
    assert_int_equal(wait_for(start_program(WORDS("inspect", "--json", "whole.mp4"), "out", "err")), 0);
    assert_int_equal(wait_for(start_program(WORDS("inspect", FIXTURE "/model"), "out", "err")), 0);
}

static void is_silent_when_asked(void **state)
{
    (void)state;
    assert_good(render("whole.mp4", WORDS("--quiet")));
    char *text = text_of("err");
    assert_string_equal(text, "");
    free(text);
    text = text_of("out");
    assert_string_equal(text, "");
    free(text);
}

static int clean_up(void **state)
{
    static const char *const made[] = {"out",       "err",         "traced.mp4", "trace.h5", "seeded.mp4",
                                       "given.mp4", "stopped.mp4", "whole.mp4",  "state.h5"};
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) unlink(made[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_input_before_anything_starts),
        cmocka_unit_test(keeps_a_group_on_one_host),
        cmocka_unit_test(suggests_the_verb_that_was_meant),
        cmocka_unit_test(traces_what_diffusers_computes),
        cmocka_unit_test(renders_from_pictures_what_diffusers_renders),
        cmocka_unit_test(takes_noise_from_a_file),
        cmocka_unit_test(goes_on_where_it_was_stopped),
        cmocka_unit_test(keeps_a_shot_to_one_kind),
        cmocka_unit_test(keeps_the_autoencoder_in_fp32),
        cmocka_unit_test(says_what_a_file_of_weights_is),
        cmocka_unit_test(says_what_is_wrong_with_a_file_of_weights),
        cmocka_unit_test(warns_of_a_damaged_checkpoint_and_starts_again),
        cmocka_unit_test(is_silent_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
