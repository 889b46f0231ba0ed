/* Host files, the words of a shell, and which hosts answer. */
#include "coordinator/launch/hosts.h"

#include "common/shell.h"
#include "coordinator/launch/launch_command.h"
#include "farm_fixture.h"

static char *folder;

static char *write_file(const char *name, const char *text)
{
    char *file = path_join(folder, name);
    assert_false(failed(file_replace(file, text, strlen(text))));
    return file;
}

static void refuse(const char *text, const char *expected)
{
    Hosts h;
    char *file = write_file("hosts", text);
    Status status = hosts_open(file, NULL, &h);
    assert_int_equal(status.err, ERR_INPUT);
    if (!strstr(status.message, expected)) fail_msg("\"%s\" does not contain \"%s\"", status.message, expected);
    free(file);
}

static void test_file(void **state)
{
    Hosts h;
    char here[64] = "";
    gethostname(here, sizeof here - 1);
    char *text = text_format("# a rack\nfar-1.example slots=4 max_slots=8\n\n  far-2\t# two\r\n%s slots=2", here);
    char *file = write_file("hosts", text);
    assert_false(failed(hosts_open(file, NULL, &h)));
    assert_int_equal(h.count, 3);
    assert_false(h.allocated);
    assert_string_equal(h.host[0].name, here); /* the launcher's machine comes first */
    assert_true(h.host[0].here);
    assert_int_equal(h.host[0].slots, 2);
    assert_string_equal(h.host[1].name, "far-1.example");
    assert_int_equal(h.host[1].slots, 4);
    assert_string_equal(h.host[2].name, "far-2");
    assert_int_equal(h.host[2].slots, 0);
    assert_false(h.host[1].here || h.host[2].here);
    hosts_clear(&h);
    free(text);
    free(file);
    (void)state;
}

/* As Open MPI reads them. */
static void test_spellings(void **state)
{
    static const char *const line[] = {
        "far slots=3",    "far slots = 3",         "far  Slots=3", "far cpu=3", "far max_slots=9 slots =3",
        "far\tslots= 3 ", "far cpus=3 max-slots=4"};
    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        Hosts h;
        char *file = write_file("hosts", line[i]);
        Status status = hosts_open(file, NULL, &h);
        if (failed(status)) fail_msg("%s: %s", line[i], status.message);
        assert_int_equal(h.host[0].slots, 3);
        hosts_clear(&h);
        free(file);
    }
    refuse("far slots\n", "hosts:1: \"slots\" is not understood, expected NAME slots=N");
    refuse("far slot=3\n", "hosts:1: \"slot=3\" is not understood");
    refuse("far slots = many\n", "hosts:1: slots=many, expected a number");
    refuse("localhost\nfar\n127.0.0.1\n", "localhost and 127.0.0.1 are one machine, this one; name it once");
    (void)state;
}

static void test_bad_files(void **state)
{
    refuse("", "no host in it");
    refuse("# nothing\n", "no host in it");
    refuse("a\nb\na\n", "hosts:3: a is there twice");
    refuse("a slots=0\n", "hosts:1: slots=0, expected a number from 1 to 1024");
    refuse("a slots=4x\n", "hosts:1: slots=4x");
    refuse("a;rm\n", "hosts:1: \"a;rm\": expected the name");
    refuse("-oProxyCommand=x\n", "hosts:1");
    Hosts h;
    assert_int_equal(hosts_open("/nonexistent/hosts", NULL, &h).err, ERR_INPUT);
    (void)state;
}

static void test_quote(void **state)
{
    static const char *const word[] = {"", "plain", "it's", "a b\"$HOME`x`\\", "'''", "ü\n-"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
        char *quoted = shell_quote(word[i]), *command = text_format("printf %%s %s", quoted), *text;
        char *argv[] = {"sh", "-c", command, NULL};
        int code;
        assert_false(failed(shell_run(argv, &text, &code)));
        assert_int_equal(code, 0);
        assert_string_equal(text, word[i]);
        free(quoted);
        free(command);
        free(text);
    }
    (void)state;
}

static void test_said(void **state)
{
    char long_text[3000], *said = shell_said("\r\n one\r\n \n\ntwo\n");
    assert_string_equal(said, " one; two");
    free(said);
    said = shell_said("");
    assert_string_equal(said, "");
    free(said);
    memset(long_text, 'x', sizeof long_text);
    snprintf(long_text + 2980, 20, "\nthe last\n");
    said = shell_said(long_text);
    assert_string_equal(said, "... the last");
    free(said);
    (void)state;
}

static void test_run(void **state)
{
    char *text;
    int code;
    char *missing[] = {"/nonexistent/program", NULL};
    assert_false(failed(shell_run(missing, &text, &code)));
    assert_int_equal(code, 127);
    assert_non_null(strstr(text, "No such file"));
    free(text);
    char *loud[] = {"sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x; kill -9 $$", NULL};
    assert_false(failed(shell_run(loud, &text, &code)));
    assert_int_equal(code, 128 + 9);
    assert_int_equal(strlen(text), 64 << 10);
    free(text);
    (void)state;
}

/* The agent stands for the network: it answers for some hosts. It gets the host and a command for a shell. */
static void test_probe(void **state)
{
    Hosts h;
    char *agent = write_file("agent", "case $1 in good*) exec sh -c \"$2\";; esac; exit 255\n");
    char *command = text_format("sh %s", agent), *file = write_file("hosts", "good-1\nbad-1\ngood-2\n");
    assert_false(failed(hosts_open(file, command, &h)));
    assert_false(failed(hosts_probe(&h, "/bin/sh", folder)));
    assert_true(h.host[0].answers && !h.host[1].answers && h.host[2].answers);
    assert_int_equal(hosts_probe(&h, "/nonexistent", folder).err, ERR_RETRY); /* nobody has the program */
    assert_false(h.host[0].answers || h.host[1].answers || h.host[2].answers);
    assert_int_equal(hosts_probe(&h, "/bin/sh", "/nonexistent/folder").err, ERR_RETRY);
    assert_false(failed(hosts_probe(&h, "/bin/sh", folder))); /* back again */
    assert_true(h.host[0].answers && h.host[2].answers);

    char *arguments[] = {"run", NULL};
    Claim claim = {.lock = -1, .launch = 1};
    LaunchOptions o = {.folder = folder, .claim = &claim, .hosts = &h, .workers = 2, .arguments = arguments};
    assert_int_equal(launch_command_workers(&o), 4);
    char **w = launch_command_new(&o, "/bin/reelwright");
    bool hosts = false, reached = false, ranks = false;
    for (int i = 0; w[i]; i++) {
        hosts = hosts || strcmp(w[i], "localhost:1,good-1:2,good-2:2") == 0; /* this machine only coordinates */
        reached = reached || (strcmp(w[i], "plm_ssh_agent") == 0 && strcmp(w[i + 1], command) == 0);
        ranks = ranks || (strcmp(w[i], "-n") == 0 && strcmp(w[i + 1], "5") == 0);
    }
    assert_true(hosts && reached && ranks);
    launch_command_free(&w);
    hosts_clear(&h);
    free(agent);
    free(command);
    free(file);
    (void)state;
}

/* Neither this host's ranks nor another's get the webhook's secret, wherever it stands among what they do get. */
static void test_secret_stays_here(void **state)
{
    static const char secret[] = "REELWRIGHT_WEBHOOK_SECRET", other[] = "REELWRIGHT_CACHE";
    Hosts h = {0};
    char *arguments[] = {"run", NULL};
    LaunchOptions o = {.folder = folder, .hosts = &h, .workers = 2, .arguments = arguments};
    (void)state;
    assert_int_equal(setenv(secret, "whsec_abc", 1) | setenv(other, "/cache", 1), 0);
    char **words = launch_command_new(&o, "/bin/reelwright"), **environment = launch_command_environment();
    bool passed = false, kept = false;
    for (int i = 0; words[i]; i++) {
        if (strstr(words[i], "SECRET") || strstr(words[i], "whsec_abc")) fail_msg("mpirun is told %s", words[i]);
        passed = passed || (strcmp(words[i], "-x") == 0 && strcmp(words[i + 1], other) == 0);
    }
    for (int i = 0; environment[i]; i++) {
        if (strstr(environment[i], "whsec_abc")) fail_msg("mpirun has %s", environment[i]);
        kept = kept || strcmp(environment[i], "REELWRIGHT_CACHE=/cache") == 0;
    }
    assert_true(passed && kept); /* else nothing was looked at */
    launch_command_free(&words);
    launch_command_free(&environment);
    unsetenv(secret);
    unsetenv(other);
}

int main(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(test_secret_stays_here),
                                      cmocka_unit_test(test_file),
                                      cmocka_unit_test(test_spellings),
                                      cmocka_unit_test(test_bad_files),
                                      cmocka_unit_test(test_quote),
                                      cmocka_unit_test(test_said),
                                      cmocka_unit_test(test_run),
                                      cmocka_unit_test(test_probe)};
    folder = fixture_folder();
    int failures = cmocka_run_group_tests(test, NULL, NULL);
    fixture_remove(folder);
    return failures;
}
