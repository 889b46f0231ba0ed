/* test_prompts.c - each text is encoded once: by this process, by the workers of a campaign; and what is found is what is made. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>

#include "common/file.h"
#include "worker/render/prompts.h"

static const char fixture[] = SOURCE_DIR "/tests/parity/fixtures/t2v-0/model", folder[] = "test_prompts.folder";
static const Progress nobody = {NULL, NULL};

static Engine *open_fixture(BackendKind kind)
{
    const BackendOptions o = {.kind = kind, .threads = 1};
    Engine *e;
    Status status = engine_open(fixture, &o, &e);
    if (failed(status)) fail_msg("%s", status.message);
    return e;
}

/* The only file with that ending, or NULL; free() it. */
static char *file_of(const char *ending)
{
    char *found = NULL;
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));)
        if (strlen(f->d_name) > strlen(ending) && !strcmp(f->d_name + strlen(f->d_name) - strlen(ending), ending)) {
            assert_null(found);
            found = path_join(folder, f->d_name);
        }
    if (d) closedir(d);
    return found;
}

static int empty(void **state)
{
    (void)state;
    return system("rm -rf test_prompts.folder") == 0 ? 0 : -1;
}

static void encode(Prompts *t, Engine *e, const char *at, const char *text, PromptEmbeds *out)
{
    Status status = prompts_encode(t, e, at, "model", text, nobody, out);
    if (failed(status)) fail_msg("%s", status.message);
}

static void assert_same(PromptEmbeds *a, PromptEmbeds *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->dim, b->dim);
    assert_memory_equal(a->rows, b->rows, (size_t)a->count * (size_t)a->dim * sizeof(float));
    prompt_embeds_free(b);
}

static void encodes_a_text_once(void **state)
{
    (void)state;
    Engine *e = open_fixture(BACKEND_CPU), *other = open_fixture(BACKEND_CPU);
    Prompts *t = prompts_new(), *u = prompts_new();
    PromptEmbeds plain, p;
    struct stat st;
    assert_int_equal(engine_encode(e, "a red cat", "prompt", NULL, &plain).err, OK);
    for (int i = 0; i < 3; i++) {
        encode(t, e, folder, "a red cat", &p);
        assert_same(&plain, &p);
    }
    assert_int_equal(prompts_encoded(t), 1);
    char *file = file_of(".text");
    assert_non_null(file);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_null(file_of(".lock"));
    encode(u, other, folder, "a red cat", &p); /* another worker: not even the text encoder is loaded */
    assert_same(&plain, &p);
    assert_int_equal(prompts_encoded(u), 0);
    assert_int_equal(engine_bytes_read(other), 0);
    encode(u, other, NULL, "another cat", &p);
    assert_int_equal(prompts_encoded(u), 1);
    prompt_embeds_free(&p);
    prompt_embeds_free(&plain);
    prompts_free(&t);
    prompts_free(&u);
    engine_close(&e);
    engine_close(&other);
    free(file);
}

/* Another kind of machine, or another model, makes its own. */
static void keeps_kinds_apart(void **state)
{
    (void)state;
    Engine *e = open_fixture(BACKEND_CPU), *ref = open_fixture(BACKEND_REF);
    Prompts *t = prompts_new();
    PromptEmbeds p;
    encode(t, e, folder, "a", &p);
    prompt_embeds_free(&p);
    encode(t, ref, folder, "a", &p);
    prompt_embeds_free(&p);
    assert_int_equal(prompts_encode(t, e, folder, "another model", "a", nobody, &p).err, OK);
    prompt_embeds_free(&p);
    assert_int_equal(prompts_encoded(t), 3);
    prompts_free(&t);
    engine_close(&e);
    engine_close(&ref);
}

static void takes_no_damaged_file(void **state)
{
    (void)state;
    Engine *e = open_fixture(BACKEND_CPU);
    Prompts *t = prompts_new();
    PromptEmbeds first, p;
    char *bytes;
    size_t n;
    encode(t, e, folder, "a", &first);
    prompts_free(&t);
    char *file = file_of(".text");
    assert_int_equal(file_read(file, 1 << 24, &bytes, &n).err, OK);
    const size_t at[] = {0, 25, 40, n / 2, n - 1};
    for (size_t i = 0; i <= sizeof at / sizeof *at; i++) {
        const bool cut = i == sizeof at / sizeof *at;
        if (!cut) bytes[at[i]] ^= 1;
        assert_int_equal(file_replace(file, bytes, cut ? n - 1 : n).err, OK);
        if (!cut) bytes[at[i]] ^= 1;
        t = prompts_new();
        encode(t, e, folder, "a", &p);
        assert_int_equal(prompts_encoded(t), 1);
        assert_same(&first, &p);
        prompts_free(&t);
    }
    t = prompts_new();
    encode(t, e, folder, "a", &p); /* the damaged one was replaced */
    assert_int_equal(prompts_encoded(t), 0);
    assert_same(&first, &p);
    prompts_free(&t);
    prompt_embeds_free(&first);
    engine_close(&e);
    free(bytes);
    free(file);
}

static Status count_to_three(void *self, const char *stage, int done, int total)
{
    (void)total;
    assert_string_equal(stage, "text");
    assert_int_equal(done, 0);
    return ++*(int *)self < 3 ? status_ok() : status_fail(ERR_STOP, "stopped");
}

/* Another process has the lock: it is waited for, and may be given up; when it dies without a word, this one encodes. */
static void waits_for_who_encodes_the_same(void **state)
{
    (void)state;
    Engine *e = open_fixture(BACKEND_CPU);
    Prompts *t = prompts_new();
    PromptEmbeds p;
    int calls = 0, ready[2];
    encode(t, e, folder, "a", &p);
    prompt_embeds_free(&p);
    prompts_free(&t);
    char *file = file_of(".text"), *lock = text_format("%s.lock", file), go;
    assert_int_equal(unlink(file), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int f = open(lock, O_RDWR | O_CREAT, 0600);
        if (flock(f, LOCK_EX) == 0 && write(ready[1], "", 1) == 1) pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &go, 1), 1);
    t = prompts_new();
    Status status = prompts_encode(t, e, folder, "model", "a", (Progress){count_to_three, &calls}, &p);
    assert_int_equal(status.err, ERR_STOP);
    assert_int_equal(calls, 3);
    assert_null(p.rows);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    encode(t, e, folder, "a", &p);
    assert_int_equal(prompts_encoded(t), 1);
    prompt_embeds_free(&p);
    prompts_free(&t);
    engine_close(&e);
    free(lock);
    free(file);
}

static void does_without_a_folder_that_cannot_be(void **state)
{
    (void)state;
    Engine *e = open_fixture(BACKEND_CPU);
    Prompts *t = prompts_new();
    PromptEmbeds p;
    for (int i = 0; i < 2; i++) {
        encode(t, e, "/proc/none", "a", &p);
        prompt_embeds_free(&p);
    }
    assert_int_equal(prompts_encoded(t), 1);
    prompts_free(&t);
    engine_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodes_a_text_once, empty, empty),
        cmocka_unit_test_setup_teardown(keeps_kinds_apart, empty, empty),
        cmocka_unit_test_setup_teardown(takes_no_damaged_file, empty, empty),
        cmocka_unit_test_setup_teardown(waits_for_who_encodes_the_same, empty, empty),
        cmocka_unit_test_setup_teardown(does_without_a_folder_that_cannot_be, empty, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
