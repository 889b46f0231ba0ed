/* test_audit.c - reviewers' words in the audit chain: each once, whatever was killed between the ledger and the chain; without what may be erased. */
#include "ledger_fixture.h"

#include <sys/stat.h>

#include "coordinator/ledger/steer.h"
#include "coordinator/watch/audit.h"
#include "trust/certificate.h"

/* finish: of the campaign; NULL: as the fixture has it */
static Fixture open_finished(int rows, const char *finish)
{
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", rows, 1)};
    if (finish) {
        free(f.campaign->finish);
        f.campaign->finish = text_copy(finish);
    }
    f.campaign->settings.review = (ReviewSettings){.policy = REVIEW_ALL, .lq = 5};
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    assert_good(ledger_begin(f.ledger, 102));
    for (int i = 0; i < rows; i++) {
        fixture_render(f.ledger, i, "host:7");
        fixture_finish(f.ledger, i, "host:7");
    }
    assert_good(ledger_commit(f.ledger));
    return f;
}

static Fixture open_reviewed(int rows) { return open_finished(rows, NULL); }

static void decide(Ledger *l, const char *verb, const char *clip, const char *reason)
{
    int64_t changed = 0;
    const LedgerRequest r = {.verb = (char *)(uintptr_t)verb,
                             .clip_id = (char *)(uintptr_t)clip,
                             .filter = (char *)(uintptr_t) "",
                             .reviewer = (char *)(uintptr_t) "eva",
                             .reason = (char *)(uintptr_t)reason};
    assert_good(ledger_begin(l, 200));
    assert_good(ledger_apply_request(l, &r, &changed));
    assert_good(ledger_commit(l));
    assert_int_equal(changed, 1);
}

typedef struct {
    int count, reviews;
    char last[2048], verbs[256];
} Seen;

static Status look_at(void *self, const json_t *line)
{
    Seen *s = self;
    char *text = json_dumps(line, JSON_COMPACT);
    s->count++;
    if (strcmp(json_string_value(json_object_get(line, "what")), "review") == 0) {
        const size_t n = strlen(s->verbs);
        s->reviews++;
        snprintf(s->verbs + n, sizeof s->verbs - n, "%s ", json_string_value(json_object_get(line, "verb")));
        snprintf(s->last, sizeof s->last, "%s", text);
    }
    free(text);
    return status_ok();
}

static Seen read_all(const char *folder)
{
    Seen s = {0};
    TrustChain chain;
    assert_good(audit_read(folder, (TrustChainSink){look_at, &s}, &chain));
    return s;
}

static void take(const Fixture *f)
{
    Audit *a;
    assert_good(audit_open(f->folder, &a));
    assert_good(audit_take_decisions(a, f->ledger, 201));
    audit_close(&a);
}

static void each_word_is_noted_once(void **state)
{
    (void)state;
    Fixture f = open_reviewed(4);
    Audit *a, *other;
    assert_good(audit_catch_up(f.ledger, 201)); /* nothing was said: nothing is opened */
    char *key = path_join(f.folder, "audit.key");
    assert_false(file_exists(key));
    decide(f.ledger, "review approve", "row0", "");
    decide(f.ledger, "review reject", "row1", "a hand of six fingers");
    take(&f);
    Seen s = read_all(f.folder);
    assert_string_equal(s.verbs, "approve reject ");
    assert_non_null(strstr(s.last, "\"by\":\"eva\""));
    assert_non_null(strstr(s.last, "\"reason\":\"a hand of six fingers\""));
    assert_null(strstr(s.last, "row1"));
    take(&f); /* who comes after a kill between the chain and whatever follows */
    assert_int_equal(read_all(f.folder).reviews, 2);
    assert_good(audit_open(f.folder, &a));
    assert_good(audit_open(f.folder, &other));
    assert_good(audit_take_decisions(a, f.ledger, 202));
    decide(f.ledger, "review rerender", "row2", "again"); /* killed before the chain: the next one finds it */
    assert_good(audit_take_decisions(other, f.ledger, 202));
    audit_add(a, "delivery", "row0", NULL); /* this one has seen less of the chain */
    assert_good(audit_flush(a, 203));
    assert_good(audit_take_decisions(a, f.ledger, 203));
    decide(f.ledger, "review reopen", "row0", "");
    assert_good(audit_take_decisions(a, f.ledger, 204));
    assert_good(audit_take_decisions(other, f.ledger, 204));
    audit_close(&a);
    audit_close(&other);
    s = read_all(f.folder);
    assert_string_equal(s.verbs, "approve reject rerender reopen ");
    assert_int_equal(s.count, 5);
    free(key);
    close_fixture(&f);
}

/* The row says: row1, and Jürgen, "1" \n zwei. */
static void what_may_be_erased_stays_out(void **state)
{
    (void)state;
    Fixture f = open_reviewed(2);
    decide(f.ledger, "review reject", "row1", "ROW1 squints; \"[..]\" ok");
    take(&f);
    Seen s = read_all(f.folder);
    assert_non_null(strstr(s.last, "\"reason\":\"[..] squints; "));
    assert_non_null(strstr(s.last, "\"reason_hmac\""));
    assert_null(strcasestr(s.last, "row1"));
    close_fixture(&f);
}

static void parts_have_one_key_and_their_chains_stay(void **state)
{
    (void)state;
    Fixture f = open_reviewed(1); /* the whole, after a merge: it holds the part's decision */
    char *part = path_join(f.folder, "parts/2-of-3"), *chain = path_join(part, "audit.jsonl"),
         *kept = path_join(f.folder, "audit.2-of-3.jsonl"), *head = text_format("%s.head", chain),
         *kept_head = text_format("%s.head", kept), token[2][AUDIT_TOKEN], *inside = path_join(part, "audit.key");
    Audit *a;
    TrustChain c;
    struct stat info;
    assert_good(file_make_folders(part));
    decide(f.ledger, "review approve", "row0", "");
    assert_good(audit_open(part, &a));
    audit_token(a, "row0", token[0]);
    assert_good(audit_take_decisions(a, f.ledger, 201)); /* as the part did */
    audit_close(&a);
    assert_false(file_exists(inside));
    assert_good(file_duplicate(chain, kept));
    assert_good(file_duplicate(head, kept_head));
    assert_good(audit_open(f.folder, &a));
    audit_token(a, "row0", token[1]);
    assert_string_equal(token[0], token[1]);
    assert_good(audit_take_part(a, f.ledger, "2-of-3", 202));
    assert_good(audit_take_part(a, f.ledger, "2-of-3", 203)); /* a merge that was killed comes again */
    assert_good(audit_take_part(a, f.ledger, "1-of-3", 203)); /* nothing was said there */
    assert_good(audit_take_decisions(a, f.ledger, 204));
    audit_close(&a);
    Seen s = read_all(f.folder);
    assert_int_equal(s.reviews, 1);
    assert_int_equal(s.count, 2);
    decide(f.ledger, "review reopen", "row0", "");
    take(&f);
    assert_string_equal(read_all(f.folder).verbs, "approve reopen ");
    assert_int_equal(stat(kept, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    json_t *forged = json_pack("{s:s}", "what", "forged");
    assert_good(trust_chain_append(kept, &forged, 1, 300, (TrustSigner){0}, &(TrustChain){0}));
    json_decref(forged);
    assert_refused(audit_read(f.folder, (TrustChainSink){0}, &c), ERR_INPUT, "not as it was when");
    unlink(kept);
    unlink(kept_head);
    assert_refused(audit_read(f.folder, (TrustChainSink){0}, &c), ERR_INPUT, "not as it was when");
    char *const all[] = {part, chain, kept, head, kept_head, inside};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    close_fixture(&f);
}

/* ---- a key that only a command has ---- */

static AuditState state_of(const char *folder)
{
    TrustChain chain;
    char *why;
    const AuditState state = audit_check(folder, (TrustChainSink){0}, &chain, &why);
    free(why);
    return state;
}

static Fixture open_signed(const char *command)
{
    char *finish =
        text_format("{\"credentials\":{\"certificate\":\"audit-keys.dir/chain.pem\",\"signer\":\"%s\"}}", command);
    Fixture f = open_finished(4, finish);
    free(finish);
    return f;
}

static void write_line(Audit *a, int number)
{
    audit_add(a, "refusal", "row1", "{s:i}", "number", number);
    assert_good(audit_flush(a, 300 + number));
}

/* Each byte of the file in turn. */
static void any_byte_is_missed(const char *folder, const char *path)
{
    size_t bytes;
    char *text;
    assert_good(file_read(path, 1 << 20, &text, &bytes));
    for (size_t i = 0; i < bytes; i++) {
        text[i] ^= 1;
        assert_good(file_replace(path, text, bytes));
        const AuditState state = state_of(folder);
        if (state != AUDIT_UNSEALED && state != AUDIT_BROKEN) fail_msg("%s: byte %zu is not looked at", path, i);
        text[i] ^= 1;
    }
    assert_good(file_replace(path, text, bytes));
    assert_int_equal(state_of(folder), AUDIT_SEALED);
    free(text);
}

static void a_command_seals(void **state)
{
    (void)state;
    file_remove_tree("audit-keys.dir");
    assert_good(trust_make_certificates("audit-keys.dir", "Tests"));
    Fixture f = open_signed("openssl dgst -sha256 -sign audit-keys.dir/signer.pem");
    char *path = path_join(f.folder, "audit.jsonl"), *head = path_join(f.folder, "audit.jsonl.head");
    Audit *a;
    assert_good(audit_open(f.folder, &a));
    write_line(a, 1);
    assert_int_equal(state_of(f.folder), AUDIT_SEALED);
    write_line(a, 2); /* not asked again for every line */
    assert_int_equal(state_of(f.folder), AUDIT_UNSEALED);
    audit_close(&a);
    assert_int_equal(state_of(f.folder), AUDIT_SEALED);
    any_byte_is_missed(f.folder, head);
    any_byte_is_missed(f.folder, path);

    json_t *forged = json_pack("{s:s}", "what", "forged"); /* a chain that is right in itself, by nobody with the key */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(head), 0);
    assert_good(trust_chain_append(path, &forged, 1, 300, (TrustSigner){0}, &(TrustChain){0}));
    assert_int_equal(state_of(f.folder), AUDIT_UNSEALED);
    json_decref(forged);
    free(path);
    free(head);
    close_fixture(&f);
}

static void a_command_that_cannot_sign_leaves_it_unsealed(void **state)
{
    (void)state;
    Fixture f = open_signed("echo the card is not in its slot >&2; exit 1");
    Audit *a;
    assert_good(audit_open(f.folder, &a));
    write_line(a, 1);
    write_line(a, 2);
    audit_close(&a);
    assert_int_equal(state_of(f.folder), AUDIT_UNSEALED);
    file_remove_tree("audit-keys.dir");
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_is_noted_once),
        cmocka_unit_test(what_may_be_erased_stays_out),
        cmocka_unit_test(parts_have_one_key_and_their_chains_stay),
        cmocka_unit_test(a_command_seals),
        cmocka_unit_test(a_command_that_cannot_sign_leaves_it_unsealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
