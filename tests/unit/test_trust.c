/* test_trust.c - the trust store as its users see it: one life of a cameo; each byte of it changed; keys, clocks, disks, kills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/trust.h"

static const char face[] = "\x89PNG a face that nobody else may see", voice[] = "RIFF....WAVE a voice";
enum { NOW = 1800000000, DAY = 86400 };
static char folder[64];

static void run(const char *command) { assert_int_equal(system(command), 0); }

static int begin(void **unused)
{
    (void)unused;
    unsetenv("REELWRIGHT_TRUST_KEY");
    unsetenv("REELWRIGHT_TRUST_KEY_COMMAND");
    snprintf(folder, sizeof folder, "trust.%ld", (long)getpid());
    char *command = text_format("rm -rf %s %s.copy %s.out", folder, folder, folder);
    int code = system(command);
    free(command);
    return code;
}

static TrustStore *open_store(TrustMode mode)
{
    TrustStore *s;
    Status status = trust_open(folder, mode, &s);
    if (failed(status)) print_message("%s\n", status.message);
    assert_false(failed(status));
    return s;
}

static void good(Status status)
{
    if (failed(status)) print_message("%s\n", status.message);
    assert_int_equal(status.err, OK);
}

static void refused(Status status, const char *part)
{
    if (status.err == OK || !strstr(status.message, part)) print_message("got: %s\n", status.message);
    assert_int_not_equal(status.err, OK);
    assert_non_null(strstr(status.message, part));
}

static void add(TrustStore *s, const char *id)
{
    TrustNewMedium m[] = {{"face", "photo", face, sizeof face}, {"voice", "recording", voice, sizeof voice}};
    TrustNewCameo c = {.id = id, .name = "Anna Example", .medium_count = 2, .medium = m};
    good(trust_add_cameo(s, &c, NOW));
}

static void verify(TrustStore *s, const char *id)
{
    TrustChallenge c;
    good(trust_challenge(s, id, NOW, &c));
    TrustVerdict v = {
        .by = "R. Viewer", .how = "person", .passcode = c.passcode, .good = true, .recording = "movie", .bytes = 5};
    good(trust_verify(s, id, &v, NOW + 60));
    trust_challenge_clear(&c);
}

static int grant(TrustStore *s, const char *id, int64_t until)
{
    TrustConsent c = {.purpose = text_copy("summer"), .audience = TRUST_ANYONE, .until_s = until, .face = true};
    good(trust_grant(s, id, &c, NULL, 0, NOW + 100));
    int number = c.number;
    trust_consent_clear(&c);
    return number;
}

/* A store with anna in it, verified, whose first consent ends then. */
static TrustStore *open_with_anna(int64_t until)
{
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    verify(s, "anna");
    assert_int_equal(grant(s, "anna", until), 1);
    return s;
}

static const TrustUse use = {.purpose = "summer", .face = true};

static bool allows(TrustStore *s, const char *id, int64_t now) { return trust_allows(s, id, &use, now).allowed; }

static void one_life(void **unused)
{
    (void)unused;
    TrustStore *s = open_store(TRUST_WRITE);
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW).reason, "no cameo \"anna\""));
    add(s, "anna");
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW).reason, "not verified"));
    verify(s, "anna");
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 100).reason, "given no consent"));
    assert_int_equal(grant(s, "anna", NOW + 10 * DAY), 1);
    TrustAnswer a = trust_allows(s, "anna", &use, NOW + 200);
    assert_true(a.allowed);
    assert_int_equal(a.consent, 1);
    uint64_t stamp = trust_stamp(s);
    good(trust_revoke(s, "anna", 1, NOW + 300));
    assert_true(trust_stamp(s) != stamp);
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 301).reason, "was revoked"));
    assert_int_equal(grant(s, "anna", NOW + 10 * DAY), 2);
    assert_int_equal(trust_allows(s, "anna", &use, NOW + 302).consent, 2);
    good(trust_revoke(s, "anna", 0, NOW + 303));
    assert_false(allows(s, "anna", NOW + 304));
    assert_int_equal(grant(s, "anna", NOW + 10 * DAY), 3); /* a new yes */
    assert_int_equal(trust_allows(s, "anna", &use, NOW + 305).consent, 3);
    refused(trust_revoke(s, "anna", 9, NOW + 306), "has 3 consents");
    int64_t lines;
    int cameos, consents;
    good(trust_check(s, &lines, &cameos, &consents));
    assert_int_equal(cameos, 1);
    assert_int_equal(consents, 3);
    trust_close(&s);
}

static void media_come_back_and_are_unreadable_on_the_disk(void **unused)
{
    (void)unused;
    unsigned char *data;
    size_t bytes;
    TrustRecord r;
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    char *command = text_format("! grep -rqF 'nobody else may see' %s", folder);
    run(command);
    free(command);
    good(trust_read_record(s, "anna", &r));
    assert_int_equal(trust_count_media(&r, "face"), 1);
    good(trust_read_medium(s, &r, "face", 0, &data, &bytes));
    assert_int_equal(bytes, sizeof face);
    assert_memory_equal(data, face, bytes);
    trust_memory_free(data);
    refused(trust_read_medium(s, &r, "face", 1, &data, &bytes), "no such face");
    trust_record_clear(&r);
    unsigned char *large = memory_get(200000, 1);
    for (int i = 0; i < 200000; i++) large[i] = (unsigned char)(i * 31 >> 3);
    TrustNewMedium m = {"face", "", large, 200000};
    TrustNewCameo c = {.id = "anna", .medium_count = 1, .medium = &m};
    good(trust_add_cameo(s, &c, NOW));
    good(trust_read_record(s, "anna", &r));
    assert_int_equal(r.medium_count, 2); /* the voice stays, the face is another */
    assert_string_equal(r.name, "Anna Example");
    good(trust_read_medium(s, &r, "face", 0, &data, &bytes));
    assert_int_equal(bytes, 200000);
    assert_memory_equal(data, large, bytes);
    trust_memory_free(data);
    trust_record_clear(&r);
    free(large);
    trust_close(&s);
}

static void everything_is_private(void **unused)
{
    (void)unused;
    umask(0);
    TrustStore *s = open_store(TRUST_WRITE);
    umask(022);
    add(s, "anna");
    verify(s, "anna");
    grant(s, "anna", NOW + DAY);
    char *command =
        text_format("test -z \"$(find %s \\( -type f ! -perm 600 \\) -o \\( -type d ! -perm 700 \\))\"", folder);
    run(command);
    free(command);
    trust_close(&s);
    char *key = path_join(folder, "key");
    assert_int_equal(chmod(key, 0640), 0);
    refused(trust_open(folder, TRUST_READ, &s), "chmod 600");
    assert_int_equal(chmod(key, 0600), 0);
    assert_int_equal(chmod(folder, 0750), 0);
    refused(trust_open(folder, TRUST_READ, &s), "chmod 700");
    free(key);
}

/* ---- tampering ---- */

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1, f);
    assert_int_equal(fclose(f), 0);
}

/* Every byte of the file, changed alone, makes the store refuse; put right again, it allows. */
static void check_each_byte(const char *path)
{
    int64_t bytes;
    good(file_size(path, &bytes));
    for (long at = 0; at < bytes; at++) {
        TrustStore *s;
        flip(path, at);
        bool no = failed(trust_open(folder, TRUST_READ, &s));
        if (!no) no = !allows(s, "anna", NOW + 200);
        if (!no) print_message("%s: byte %ld\n", path, at);
        assert_true(no);
        trust_close(&s);
        flip(path, at);
    }
    TrustStore *s = open_store(TRUST_READ);
    assert_true(allows(s, "anna", NOW + 200));
    trust_close(&s);
}

static void each_flipped_byte_is_found(void **unused)
{
    (void)unused;
    static const char *const name[] = {"consents/anna.1.json", "log.jsonl", "log.jsonl.head", "signers.json",
                                       "cameos/anna/cameo.json"};
    TrustStore *s = open_with_anna(NOW + 10 * DAY);
    trust_close(&s);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char *path = path_join(folder, name[i]);
        check_each_byte(path);
        free(path);
    }
}

static void each_flipped_byte_of_a_medium_is_found(void **unused)
{
    (void)unused;
    TrustRecord r;
    int64_t size;
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    good(trust_read_record(s, "anna", &r));
    char *medium = text_format("%s/cameos/anna/%s.enc", folder, r.medium[0].file),
         *key = text_format("%s/cameos/anna/key", folder);
    for (int file = 0; file < 2; file++) {
        const char *path = file ? key : medium;
        good(file_size(path, &size));
        for (long at = 0; at < size; at++) {
            unsigned char *data;
            size_t bytes;
            flip(path, at);
            Status status = trust_read_medium(s, &r, "face", 0, &data, &bytes);
            if (!failed(status)) print_message("%s: byte %ld\n", path, at);
            assert_true(failed(status));
            flip(path, at);
        }
    }
    assert_int_equal(truncate(medium, 40), 0);
    unsigned char *data;
    size_t bytes;
    refused(trust_read_medium(s, &r, "face", 0, &data, &bytes), "tampered");
    free(medium);
    free(key);
    trust_record_clear(&r);
    trust_close(&s);
}

static void what_is_taken_out_or_put_back_is_found(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + 10 * DAY);
    char *copy = text_format("cp -a %s %s.copy", folder, folder);
    run(copy);
    good(trust_revoke(s, "anna", 1, NOW + 200));
    char *forget = text_format("rm %s/revocations/*", folder);
    run(forget);
    assert_false(allows(s, "anna", NOW + 300)); /* the log knows */
    char *head = text_format("cp %s.copy/log.jsonl %s/", folder, folder);
    run(head);
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 300).reason, "its end is missing"));
    char *both = text_format("cp %s.copy/log.jsonl.head %s/", folder, folder);
    run(both); /* all of the older store: only who has seen the newer one can tell */
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 300).reason, "an older copy"));
    trust_close(&s);
    char *another =
        text_format("rm -r %s && mv %s.copy %s && echo x > %s/revocations/anna.1.json", folder, folder, folder, folder);
    run(another);
    s = open_store(TRUST_READ);
    assert_false(allows(s, "anna", NOW + 300)); /* any revocation holds, even one that cannot be read */
    trust_close(&s);
    free(another);
    free(both);
    free(head);
    free(forget);
    free(copy);
}

/* ---- time ---- */

static void time_does_not_go_back(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY);
    assert_true(allows(s, "anna", NOW + 200));
    assert_false(allows(s, "anna", NOW + DAY));
    assert_false(allows(s, "anna", NOW + 200));
    trust_close(&s);
    s = open_store(TRUST_READ); /* another process, which has not seen that time */
    assert_false(allows(s, "anna", NOW + 200));
    trust_close(&s);
    s = open_store(TRUST_WRITE);
    assert_int_equal(trust_now(s, NOW), NOW + DAY);
    good(trust_reset_clock(s, "R. Viewer", "the clock was wrong", NOW + 400));
    assert_int_equal(grant(s, "anna", NOW + DAY), 2);
    assert_int_equal(trust_allows(s, "anna", &use, NOW + 500).consent, 2); /* the first has lapsed for good */
    trust_close(&s);
}

static void a_challenge_is_late_or_used_or_tried_too_often(void **unused)
{
    (void)unused;
    TrustChallenge c, again;
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    TrustVerdict v = {.by = "R. Viewer", .how = "person", .good = true, .recording = "movie", .bytes = 5};
    refused(trust_verify(s, "anna", &v, NOW), "no challenge");
    good(trust_challenge(s, "anna", NOW, &c));
    assert_non_null(strstr(c.sentence[0], "I am Anna Example. Today is 2027-01-15."));
    v.passcode = c.passcode;
    refused(trust_verify(s, "anna", &v, NOW + TRUST_CHALLENGE_S), "older than 30 minutes");
    trust_challenge_clear(&c);
    good(trust_challenge(s, "anna", NOW + TRUST_CHALLENGE_S, &c));
    char wrong[] = "000000";
    if (strcmp(c.passcode, wrong) == 0) wrong[0] = '1';
    v.passcode = wrong;
    for (int i = 0; i < TRUST_ATTEMPTS; i++) refused(trust_verify(s, "anna", &v, NOW + 1900), "not the passcode");
    v.passcode = c.passcode;
    refused(trust_verify(s, "anna", &v, NOW + 1900), "5 attempts have failed");
    trust_challenge_clear(&c);
    good(trust_challenge(s, "anna", NOW + 1900, &c));
    good(trust_challenge(s, "anna", NOW + 1901, &again)); /* takes the first one's place */
    v.passcode = c.passcode;
    if (strcmp(c.passcode, again.passcode) != 0) refused(trust_verify(s, "anna", &v, NOW + 1902), "not the passcode");
    v.passcode = again.passcode;
    good(trust_verify(s, "anna", &v, NOW + 1903));
    refused(trust_verify(s, "anna", &v, NOW + 1904), "was used");
    trust_challenge_clear(&c);
    trust_challenge_clear(&again);
    trust_close(&s);
}

/* Somebody who may write the folder, and has a recording from an earlier challenge of the same half hour. */
static void an_older_challenge_does_not_come_back(void **unused)
{
    (void)unused;
    TrustChallenge first, second;
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    good(trust_challenge(s, "anna", NOW, &first));
    char *keep = text_format("cp %s/cameos/anna/challenge.json %s.out", folder, folder),
         *put = text_format("cp %s.out %s/cameos/anna/challenge.json", folder, folder);
    run(keep);
    TrustVerdict v = {
        .by = "R", .how = "person", .passcode = first.passcode, .good = true, .recording = "m", .bytes = 1};
    good(trust_verify(s, "anna", &v, NOW + 60));
    good(trust_challenge(s, "anna", NOW + 120, &second));
    run(put);
    refused(trust_verify(s, "anna", &v, NOW + 180), "not this cameo's challenge");
    trust_challenge_clear(&first);
    trust_challenge_clear(&second);
    free(keep);
    free(put);
    trust_close(&s);
}

static void links_in_the_store_lead_nowhere(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY);
    char *move = text_format("mv %s/cameos/anna %s.out && ln -s ../../%s.out %s/cameos/anna && touch %s.out/precious",
                             folder, folder, folder, folder, folder);
    run(move);
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 200).reason, "a symbolic link"));
    refused(trust_erase(s, "anna", NOW + 300), "a symbolic link");
    char *there = text_format("test -e %s.out/precious && test -e %s.out/key", folder, folder);
    run(there);
    free(there);
    free(move);
    trust_close(&s);
}

/* Everything of anna's in another store, with its key or without: it is not what this store's log says. */
static void what_comes_from_another_store_does_not_hold(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY);
    trust_close(&s);
    char *away = text_format("rm -rf %s.copy && mv %s %s.copy", folder, folder, folder);
    run(away);
    s = open_store(TRUST_WRITE); /* a new store of the same farm */
    add(s, "anna");
    verify(s, "anna");
    char *consent = text_format("cp %s.copy/consents/* %s/consents/", folder, folder),
         *person = text_format("cp -r %s.copy/cameos %s/", folder, folder);
    run(consent);
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 200).reason, "given no consent"));
    run(person);
    assert_false(allows(s, "anna", NOW + 200));
    trust_close(&s);
    char *key = text_format("cp %s.copy/key %s/", folder, folder);
    run(key);
    refused(trust_open(folder, TRUST_USE, &s), "another key");
    free(away);
    free(consent);
    free(person);
    free(key);
}

static void minors_need_evidence(void **unused)
{
    (void)unused;
    TrustStore *s = open_store(TRUST_WRITE);
    TrustNewCameo c = {.id = "kid", .name = "Kid", .minor = true};
    good(trust_add_cameo(s, &c, NOW));
    verify(s, "kid");
    TrustConsent consent = {
        .purpose = text_copy("summer"), .audience = TRUST_ANYONE, .until_s = NOW + DAY, .face = true};
    refused(trust_grant(s, "kid", &consent, NULL, 0, NOW), "expected --evidence");
    good(trust_grant(s, "kid", &consent, "signed by both parents", 22, NOW));
    assert_true(allows(s, "kid", NOW + 200));
    trust_consent_clear(&consent);
    trust_close(&s);
}

/* ---- keys, disks, several at once ---- */

static void keys_are_changed(void **unused)
{
    (void)unused;
    TrustRecord r;
    unsigned char *data;
    size_t bytes;
    TrustStore *s = open_with_anna(NOW + 10 * DAY), *other = open_store(TRUST_READ);
    char *old = text_format("cp %s/key %s.copy", folder, folder);
    run(old);
    good(trust_rotate(s, NOW + 150));
    assert_true(allows(s, "anna", NOW + 200));
    good(trust_read_record(s, "anna", &r));
    good(trust_read_medium(s, &r, "face", 0, &data, &bytes));
    assert_memory_equal(data, face, bytes);
    trust_memory_free(data);
    trust_record_clear(&r);
    assert_int_equal(grant(s, "anna", NOW + 20 * DAY), 2);
    assert_false(allows(other, "anna", NOW + 200)); /* it holds the old key, and does not guess */
    trust_close(&other);
    trust_close(&s);
    s = open_store(TRUST_READ);
    assert_int_equal(trust_allows(s, "anna", &use, NOW + 200).consent, 2);
    trust_close(&s);
    char *key = text_format("%s.copy", folder);
    setenv("REELWRIGHT_TRUST_KEY", key, 1);
    refused(trust_open(folder, TRUST_READ, &s), "another key");
    setenv("REELWRIGHT_TRUST_KEY", "", 1);
    char *command = text_format("cat %s/key", folder);
    setenv("REELWRIGHT_TRUST_KEY_COMMAND", command, 1);
    s = open_store(TRUST_READ);
    assert_true(allows(s, "anna", NOW + 200));
    trust_close(&s);
    setenv("REELWRIGHT_TRUST_KEY_COMMAND", "exit 1", 1);
    refused(trust_open(folder, TRUST_READ, &s), "COMMAND failed");
    unsetenv("REELWRIGHT_TRUST_KEY_COMMAND");
    unsetenv("REELWRIGHT_TRUST_KEY");
    free(command);
    free(key);
    free(old);
}

static void erasing_leaves_nothing_about_the_person(void **unused)
{
    (void)unused;
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    add(s, "anna.b");
    verify(s, "anna");
    verify(s, "anna.b");
    grant(s, "anna", NOW + 10 * DAY);
    TrustConsent c = {.purpose = text_copy("summer"), .audience = TRUST_ANYONE, .until_s = NOW + DAY, .face = true};
    good(trust_grant(s, "anna.b", &c, NULL, 0, NOW));
    trust_consent_clear(&c);
    good(trust_revoke(s, "anna", 1, NOW));
    good(trust_erase(s, "anna", NOW + 300));
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 301).reason, "no cameo"));
    assert_true(allows(s, "anna.b", NOW + 301)); /* her neighbour in the alphabet */
    char *search = text_format(
        "test -z \"$(find %s -name 'anna' -o -name 'anna.[0-9a]*')\" && ! grep -q anna %s/log.jsonl", folder, folder);
    run(search);
    free(search);
    refused(trust_erase(s, "anna", NOW), "no cameo");
    add(s, "anna"); /* the id is free again, the old consents are not hers */
    verify(s, "anna");
    assert_non_null(strstr(trust_allows(s, "anna", &use, NOW + 302).reason, "given no consent"));
    trust_close(&s);
}

static void export_holds_everything(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + 10 * DAY);
    char *out = text_format("%s.out", folder);
    good(trust_export(s, "anna", out));
    char *look = text_format(
        "cd %s && grep -qF 'nobody else' face-1.png && grep -q voice voice-1.wav && grep -q movie recording-1.bin && "
        "grep -q 'Einwilligung 1 von Anna Example' agreements.txt && test -s cameo.json && test -s anna.1.json && "
        "grep -q grant log.jsonl",
        out);
    run(look);
    free(look);
    free(out);
    trust_close(&s);
}

/* As root a folder's mode keeps nobody out, so the child is somebody else where it can be. */
static void a_store_that_cannot_be_written_still_answers(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY);
    trust_close(&s);
    char *close_it = text_format("rm -f %s/log.jsonl.lock && chmod 500 %s", folder, folder),
         *open_it = text_format("chmod 700 %s", folder);
    run(close_it);
    s = open_store(TRUST_READ);
    assert_true(allows(s, "anna", NOW + 200));
    assert_false(allows(s, "anna", NOW + DAY));
    assert_false(allows(s, "anna", NOW + 200)); /* this process has seen it end */
    trust_close(&s);
    run(open_it);
    free(close_it);
    free(open_it);
}

/* A disk with so many bytes left, for each file: whatever is cut off, the store is what it was, or what it was to become. */
static void a_full_disk_leaves_the_old_or_the_new(void **unused)
{
    (void)unused;
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    verify(s, "anna");
    trust_close(&s);
    int64_t bytes;
    char *log = path_join(folder, "log.jsonl");
    good(file_size(log, &bytes));
    int refusals = 0, grants = 0;
    for (int64_t room = 0; room < bytes + 1500; room += 61) {
        int how;
        if (fork() == 0) {
            TrustConsent c = {
                .purpose = text_copy("summer"), .audience = TRUST_ANYONE, .until_s = NOW + DAY, .face = true};
            TrustStore *own;
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)room, (rlim_t)room});
            const bool done = !failed(trust_open(folder, TRUST_WRITE, &own)) &&
                              !failed(trust_grant(own, "anna", &c, NULL, 0, NOW + 100));
            _exit(done ? 0 : 1);
        }
        wait(&how);
        assert_true(WIFEXITED(how));
        const bool done = WEXITSTATUS(how) == 0;
        s = open_store(TRUST_WRITE);
        int64_t lines;
        int cameos, consents;
        good(trust_check(s, &lines, &cameos, &consents));
        assert_true(done ? consents == grants + 1 : consents == grants || consents == grants + 1);
        grants = consents;
        refusals += !done;
        assert_int_equal(allows(s, "anna", NOW + 200), grants > 0);
        trust_close(&s);
    }
    assert_true(refusals > 0 && grants > 0);
    s = open_store(TRUST_WRITE); /* a revocation that cannot be written is said to have failed; with room it holds */
    good(trust_revoke(s, "anna", 0, NOW + 300));
    assert_false(allows(s, "anna", NOW + 400));
    trust_close(&s);
    free(log);
}

/* Another farm, which has the store open already. */
static void what_one_farm_writes_the_other_sees(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY), *other = open_store(TRUST_USE);
    int how;
    assert_true(allows(other, "anna", NOW + 200));
    const uint64_t stamp = trust_stamp(other);
    if (fork() == 0) _exit(failed(trust_revoke(s, "anna", 0, NOW + 300)));
    wait(&how);
    assert_int_equal(how, 0);
    assert_true(trust_stamp(other) != stamp);
    assert_false(allows(other, "anna", NOW + 301));
    char **place, *here = realpath(".", NULL);
    int count;
    good(trust_note_folder(other, "."));
    good(trust_note_folder(s, here));
    good(trust_read_folders(s, &place, &count));
    assert_int_equal(count, 1);
    assert_string_equal(place[0], here);
    free(place[0]);
    free(place);
    free(here);
    trust_close(&s);
    trust_close(&other);
}

static void several_processes_write_at_once(void **unused)
{
    (void)unused;
    enum { PROCESSES = 4, GRANTS = 8 };
    TrustStore *s = open_store(TRUST_WRITE);
    add(s, "anna");
    verify(s, "anna");
    trust_close(&s);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            TrustStore *own;
            bool fine = !failed(trust_open(folder, TRUST_WRITE, &own));
            for (int k = 0; k < GRANTS && fine; k++) {
                TrustConsent c = {
                    .purpose = text_copy("summer"), .audience = TRUST_ANYONE, .until_s = NOW + DAY, .face = true};
                fine = !failed(trust_grant(own, "anna", &c, NULL, 0, NOW)) && allows(own, "anna", NOW + 200);
                trust_consent_clear(&c);
            }
            _exit(fine ? 0 : 1);
        }
    for (int i = 0, how; i < PROCESSES; i++) {
        wait(&how);
        assert_int_equal(how, 0);
    }
    s = open_store(TRUST_READ);
    int64_t lines;
    int cameos, consents;
    good(trust_check(s, &lines, &cameos, &consents));
    assert_int_equal(consents, PROCESSES * GRANTS);
    trust_close(&s);
}

/* A kill at any moment: what was cut off is as if it had not been, or the stricter. */
static void a_line_that_a_kill_cut_is_no_line(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY);
    char *path = path_join(folder, "log.jsonl");
    FILE *f = fopen(path, "ab");
    fputs("{\"at\":\"2026-", f);
    fclose(f);
    assert_true(allows(s, "anna", NOW + 200));
    good(trust_revoke(s, "anna", 1, NOW + 300));
    assert_false(allows(s, "anna", NOW + 301));
    int64_t lines;
    int cameos, consents;
    good(trust_check(s, &lines, &cameos, &consents));
    free(path);
    trust_close(&s);
}

/* Whatever changes an answer is seen without reading her files; what changes none is not. */
static void a_glance_sees_what_changes_an_answer(void **unused)
{
    (void)unused;
    TrustStore *s = open_with_anna(NOW + DAY), *other = open_store(TRUST_USE);
    TrustGlance g, nobody;
    trust_glance(other, "anna", NOW + 200, &g);
    assert_true(trust_is_readable(other));
    assert_true(trust_glance_holds(other, "anna", &g, NOW + 200));
    add(s, "ben");
    assert_true(trust_is_readable(other));
    assert_true(trust_glance_holds(other, "anna", &g, NOW + 200));
    trust_glance(other, "cleo", NOW + 200, &nobody);
    assert_false(trust_glance_holds(other, "cleo", &nobody, NOW + 200)); /* she may come */
    assert_false(trust_glance_holds(other, "anna", &g, NOW + DAY));      /* the consent has ended */
    trust_close(&other);

    other = open_store(TRUST_USE);
    trust_glance(other, "anna", NOW + 200, &g);
    assert_int_equal(grant(s, "anna", NOW + 2 * DAY), 2);
    assert_true(trust_is_readable(other));
    assert_false(trust_glance_holds(other, "anna", &g, NOW + 200));
    trust_glance(other, "anna", NOW + 200, &g);
    char *revocation = text_format("%s/revocations/anna.2.json", folder), *log = text_format("%s/log.jsonl", folder);
    good(file_replace(revocation, "", 0)); /* holds before the log has it */
    assert_false(trust_glance_holds(other, "anna", &g, NOW + 200));
    trust_glance(other, "anna", NOW + 200, &g);
    good(trust_revoke(s, "anna", 0, NOW + 300));
    assert_true(trust_is_readable(other));
    assert_false(trust_glance_holds(other, "anna", &g, NOW + 301));
    trust_glance(other, "anna", NOW + 301, &g);
    assert_true(trust_glance_holds(other, "anna", &g, NOW + 301));
    good(trust_erase(s, "anna", NOW + 302));
    assert_true(trust_is_readable(other));
    assert_false(trust_glance_holds(other, "anna", &g, NOW + 303));
    good(file_replace(log, "{}\n", 3));
    assert_false(trust_is_readable(other));
    free(log);
    free(revocation);
    trust_close(&other);
    trust_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_life, begin),
        cmocka_unit_test_setup(a_glance_sees_what_changes_an_answer, begin),
        cmocka_unit_test_setup(media_come_back_and_are_unreadable_on_the_disk, begin),
        cmocka_unit_test_setup(everything_is_private, begin),
        cmocka_unit_test_setup(each_flipped_byte_is_found, begin),
        cmocka_unit_test_setup(each_flipped_byte_of_a_medium_is_found, begin),
        cmocka_unit_test_setup(what_is_taken_out_or_put_back_is_found, begin),
        cmocka_unit_test_setup(time_does_not_go_back, begin),
        cmocka_unit_test_setup(a_challenge_is_late_or_used_or_tried_too_often, begin),
        cmocka_unit_test_setup(an_older_challenge_does_not_come_back, begin),
        cmocka_unit_test_setup(links_in_the_store_lead_nowhere, begin),
        cmocka_unit_test_setup(what_comes_from_another_store_does_not_hold, begin),
        cmocka_unit_test_setup(a_full_disk_leaves_the_old_or_the_new, begin),
        cmocka_unit_test_setup(what_one_farm_writes_the_other_sees, begin),
        cmocka_unit_test_setup(minors_need_evidence, begin),
        cmocka_unit_test_setup(keys_are_changed, begin),
        cmocka_unit_test_setup(erasing_leaves_nothing_about_the_person, begin),
        cmocka_unit_test_setup(export_holds_everything, begin),
        cmocka_unit_test_setup(a_store_that_cannot_be_written_still_answers, begin),
        cmocka_unit_test_setup(several_processes_write_at_once, begin),
        cmocka_unit_test_setup_teardown(a_line_that_a_kill_cut_is_no_line, begin, begin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
