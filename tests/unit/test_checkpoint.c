/* What a checkpoint must keep, and what a reader must refuse. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "worker/render/checkpoint.h"

enum { C = 2, F = 3, H = 4, W = 5, COUNT = C * F * H * W };
static const char path[] = "test_checkpoint.h5";
static float latents[COUNT], history[2][COUNT];

static Checkpoint sample(void)
{
    static ShotSpec spec = {.prompt = "a red balloon",
                            .negative = "",
                            .seed = UINT64_MAX - 2,
                            .width = 40,
                            .height = 32,
                            .frames = 9,
                            .fps = 8,
                            .steps = 4,
                            .guidance = 4.5,
                            .scheduler = "unipc"};
    char model[HASH_TEXT], key[HASH_TEXT];
    hash_bytes("model", 5, model);
    shot_key(&spec, model, key);
    for (int i = 0; i < COUNT; i++) {
        latents[i] = (float)i * 0.37f - 3.0f;
        history[0][i] = -latents[i] * 1e-20f;
        history[1][i] = latents[i] * 1e20f;
    }
    Checkpoint c = {.owner = checkpoint_owner(&spec, key, model, "fp32", "cpu avx2 1x1x1"),
                    .dim = {C, F, H, W},
                    .state = {.step = 3,
                              .latents = latents,
                              .solver_count = 2,
                              .solver = {history[0], history[1]},
                              .lower_order_nums = 2}};
    return c;
}

static void assert_message(Status s, const char *part)
{
    if (!failed(s) || !strstr(s.message, part)) fail_msg("expected \"...%s...\", got \"%s\"", part, s.message);
}

static void keeps_everything(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_string_equal(checkpoint_read(path, &c.owner, &got).message, "");
    assert_memory_equal(&got.owner, &c.owner, sizeof c.owner);
    assert_memory_equal(got.dim, c.dim, sizeof c.dim);
    assert_int_equal(got.state.step, 3);
    assert_int_equal(got.state.solver_count, 2);
    assert_int_equal(got.state.lower_order_nums, 2);
    assert_memory_equal(got.state.latents, latents, sizeof latents);
    assert_memory_equal(got.state.solver[0], history[0], sizeof latents);
    assert_memory_equal(got.state.solver[1], history[1], sizeof latents);
    checkpoint_clear(&got);
    assert_null(got.state.latents);
}

/* Tensors of other shapes than the latents'. */
static void keeps_more(void **state)
{
    (void)state;
    float done[12], motion[4];
    for (int i = 0; i < 12; i++) done[i] = (float)i;
    for (int i = 0; i < 4; i++) motion[i] = -(float)i;
    Checkpoint c = sample(), got;
    c.state.more_count = 2;
    c.state.more[0] = (StateTensor){"motion", {1, 1, 2, 2}, motion};
    c.state.more[1] = (StateTensor){"done", {1, 3, 2, 2}, done};
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_string_equal(checkpoint_read(path, &c.owner, &got).message, "");
    assert_int_equal(got.state.more_count, 2);
    assert_string_equal(got.state.more[0].name, "done"); /* by name */
    assert_memory_equal(got.state.more[0].dim, c.state.more[1].dim, sizeof c.state.more[1].dim);
    assert_memory_equal(got.state.more[0].data, done, sizeof done);
    assert_memory_equal(got.state.more[1].data, motion, sizeof motion);
    checkpoint_clear(&got);
    strcpy(c.state.more[0].name, "../Motion");
    assert_int_equal(checkpoint_write(path, &c).err, ERR_NODE); /* it cannot be composed: a path leads nowhere */
    strcpy(c.state.more[0].name, "Motion");
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "no name in small letters");
    strcpy(c.state.more[0].name, "motion");
    motion[2] = NAN;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "motion holds values that are not finite");
}

/* A seal is against damage, not against forgery: what was sealed may be nonsense. */
static void refuses_sealed_nonsense(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    c.owner.guidance = NAN;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "damaged checkpoint: attribute guidance is no finite number");
    c = sample();
    memcpy(c.owner.dtype, "\xff\x1b[2J", 6);
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "damaged checkpoint: attribute dtype is ");
    c = sample();
    c.owner.fps = 0;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "damaged checkpoint: a size, length or rate below 1");
}

static void same_contents_give_same_bytes(void **state)
{
    (void)state;
    Checkpoint c = sample();
    char first[HASH_TEXT], again[HASH_TEXT];
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_int_equal(hash_file(path, first).err, OK);
    sleep(1); /* a time stamp in the file would show */
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_int_equal(hash_file(path, again).err, OK);
    assert_string_equal(first, again);
}

static void refuses_what_belongs_to_others(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    CheckpointOwner other = c.owner;
    other.model[0] ^= 1;
    assert_message(checkpoint_read(path, &other, &got), "another model");
    other = c.owner;
    other.seed = 5;
    assert_message(checkpoint_read(path, &other, &got), "seed 18446744073709551613, expected 5");
    other = c.owner;
    other.steps = 8;
    assert_message(checkpoint_read(path, &other, &got), "a shot of 4 steps, expected one of 8");
    other = c.owner;
    strcpy(other.dtype, "bf16");
    assert_message(checkpoint_read(path, &other, &got), "computed in fp32");
    other = c.owner;
    other.shot[3] ^= 1;
    assert_message(checkpoint_read(path, &other, &got), "another shot");
    assert_message(checkpoint_read(path, &other, &got), path);
    assert_null(got.state.latents);
}

static void refuses_values_that_are_not_finite(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    history[1][7] = (float)(1e300 * 1e300);
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "not finite");
}

static void refuses_steps_out_of_range(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    c.state.step = 5;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "step out of range");
}

static void refuses_foreign_and_missing_files(void **state)
{
    (void)state;
    Checkpoint got;
    assert_int_equal(file_replace(path, "hello", 5).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "not a checkpoint");
    assert_int_equal(file_replace(path, "", 0).err, OK);
    assert_message(checkpoint_read(path, NULL, &got), "not a checkpoint");
    assert_int_equal(checkpoint_read("missing.h5", NULL, &got).err, ERR_INPUT);
    assert_int_equal(checkpoint_read(".", NULL, &got).err, ERR_INPUT);
}

/* Cut anywhere, any byte changed, anything added: refused, and never a crash. */
static void finds_every_damage(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    char *image;
    size_t n;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    assert_int_equal(file_read(path, 1 << 20, &image, &n).err, OK);
    for (size_t cut = 0; cut < n; cut += 61) assert_true(failed(checkpoint_parse(image, cut, &got)));
    assert_true(failed(checkpoint_parse(image, n + 1, &got)));
    for (size_t i = 0; i < n; i++) {
        image[i] ^= (char)(1 << (i % 8));
        assert_int_equal(checkpoint_parse(image, n, &got).err, ERR_INPUT);
        image[i] ^= (char)(1 << (i % 8));
    }
    char *version = strstr(image + n - 97, " 0002 ");
    assert_non_null(version);
    version[4] = '3';
    assert_message(checkpoint_parse(image, n, &got), "version 3, expected 2");
    free(image);
}

/* A full disk (here: a limit on the file's size) leaves the last good file and no draft. */
static void full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    Checkpoint c = sample(), got;
    struct rlimit old, small;
    assert_int_equal(checkpoint_write(path, &c).err, OK);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){1024, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    c.state.step = 4;
    Status s = checkpoint_write(path, &c);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(s.err, ERR_NODE);
    char *draft = file_draft(path);
    assert_false(file_exists(draft));
    free(draft);
    assert_int_equal(checkpoint_read(path, NULL, &got).err, OK);
    assert_int_equal(got.state.step, 3);
    checkpoint_clear(&got);
    assert_int_equal(checkpoint_write("no/such/folder/x.h5", &c).err, ERR_NODE);
}

static int step_on_disk(void)
{
    Checkpoint got;
    assert_int_equal(checkpoint_read(path, NULL, &got).err, OK);
    int step = got.state.step;
    checkpoint_clear(&got);
    return step;
}

/* A worker hangs at step 1, another takes over and gets to step 3; the first wakes up. */
static void a_worker_that_wakes_up_sets_nothing_back(void **state)
{
    (void)state;
    unlink(path);
    Checkpoint c = sample();
    CheckpointMark slow = checkpoint_mark(path), fast;
    c.state.step = 1;
    assert_int_equal(checkpoint_write_since(path, &c, &slow).err, OK);
    fast = checkpoint_mark(path);
    c.state.step = 3;
    assert_int_equal(checkpoint_write_since(path, &c, &fast).err, OK);
    c.state.step = 2;
    assert_int_equal(checkpoint_write_since(path, &c, &slow).err, OK);
    assert_int_equal(step_on_disk(), 3);
    c.state.step = 4; /* it may still be the first to get to the end */
    assert_int_equal(checkpoint_write_since(path, &c, &slow).err, OK);
    assert_int_equal(step_on_disk(), 4);
    assert_int_equal(file_replace(path, "rubbish", 7).err, OK); /* what is not sound stands in nobody's way */
    c.state.step = 2;
    assert_int_equal(checkpoint_write_since(path, &c, &fast).err, OK);
    assert_int_equal(step_on_disk(), 2);
    c.state.step = 1; /* its own it may replace as it likes: a render begun anew */
    assert_int_equal(checkpoint_write_since(path, &c, &fast).err, OK);
    assert_int_equal(step_on_disk(), 1);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everything),
        cmocka_unit_test(keeps_more),
        cmocka_unit_test(refuses_sealed_nonsense),
        cmocka_unit_test(same_contents_give_same_bytes),
        cmocka_unit_test(refuses_what_belongs_to_others),
        cmocka_unit_test(refuses_values_that_are_not_finite),
        cmocka_unit_test(refuses_steps_out_of_range),
        cmocka_unit_test(refuses_foreign_and_missing_files),
        cmocka_unit_test(finds_every_damage),
        cmocka_unit_test(full_disk_leaves_the_old_file),
        cmocka_unit_test(a_worker_that_wakes_up_sets_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
