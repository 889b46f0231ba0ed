/* test_serve_review.c - the review page as a browser sees it, and what it refuses: strangers, other sites, other files, too much. */
#include "ledger_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "common/gates.h"
#include "coordinator/watch/serve_review.h"

typedef struct {
    Fixture f;
    ReviewServer *server;
    int port, decided;
    char token[64], cookie[128], secret[64], last[128], next[128];
} Page;

static Status note_decisions(void *self, const LedgerRequest *r, int64_t count, RequestAnswer *answer)
{
    Page *p = self;
    for (int64_t i = 0; i < count; i++) {
        snprintf(p->last, sizeof p->last, "%s %s %s %s %s", r[i].verb, r[i].clip_id, r[i].seen, r[i].reviewer,
                 r[i].reason);
        p->decided++;
        answer[i].outcome = strcmp(r[i].clip_id, "row1") == 0 ? OUTCOME_OTHER : OUTCOME_DONE;
    }
    return status_ok();
}

static void note_next(void *self, const char *address)
{
    Page *p = self;
    snprintf(p->next, sizeof p->next, "%s", address);
}

/* request without Host and end; free() the answer. */
static char *ask(const Page *p, const char *request, const char *headers, const char *body)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)p->port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *text = text_format("%s HTTP/1.1\r\nConnection: close\r\n%s\r\n%s", request, headers, body),
         *got = memory_get(1 << 20, 1);
    size_t n = 0;
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    for (size_t sent = 0; sent < strlen(text);) {
        const ssize_t k = send(fd, text + sent, strlen(text) - sent, MSG_NOSIGNAL);
        if (k <= 0) break;
        sent += (size_t)k;
    }
    for (ssize_t k; n < (1 << 20) - 1 && (k = read(fd, got + n, (1 << 20) - 1 - n)) > 0;) n += (size_t)k;
    close(fd);
    free(text);
    return got;
}

static void answers(const Page *p, const char *request, const char *headers, const char *body, const char *status,
                    const char *holds)
{
    char *text = ask(p, request, headers, body);
    if (strncmp(text, status, strlen(status)) != 0 || !strstr(text, holds))
        fail_msg("%s: expected %s and %s: %.400s", request, status, holds, text);
    free(text);
}

static void take_between(const char *text, const char *before, char *to, size_t room, const char *ends)
{
    const char *at = strstr(text, before);
    assert_non_null(at);
    at += strlen(before);
    snprintf(to, room, "%.*s", (int)strcspn(at, ends), at);
}

static char *own(const Page *p, const char *more)
{
    return text_format("Host: 127.0.0.1:%d\r\nCookie: review%d=%s\r\n%s", p->port, p->port, p->cookie, more);
}

static Page open_page(void)
{
    Page p = {.f = open_fixture(2, 1)};
    assert_good(ledger_begin(p.f.ledger, 102));
    fixture_render(p.f.ledger, 0, "host:7");
    fixture_finish(p.f.ledger, 0, "host:7");
    assert_good(ledger_commit(p.f.ledger));
    return p;
}

static void start(Page *p)
{
    assert_good(serve_review_start(p->f.folder, 0, (ReviewHost){note_decisions, note_next, p}, &p->server));
    char *address = serve_review_address(p->server);
    take_between(address, "token=", p->token, sizeof p->token, "");
    p->port = atoi(strrchr(address, ':') + 1);
    free(address);
    char *request = text_format("GET /?token=%s", p->token), *host = text_format("Host: 127.0.0.1:%d\r\n", p->port),
         *text = ask(p, request, host, "");
    assert_true(strncmp(text, "HTTP/1.1 303", 12) == 0 && strstr(text, "HttpOnly; SameSite=Strict"));
    take_between(strstr(text, "Set-Cookie: review"), "=", p->cookie, sizeof p->cookie, ";");
    free(text);
    answers(p, request, host, "", "HTTP/1.1 403", "works once");
    free(request); /* another reviewer has another address, and a session of their own */
    assert_non_null(strstr(p->next, "?token="));
    request = text_format("GET /%s", strstr(p->next, "?token="));
    text = ask(p, request, host, "");
    assert_true(strncmp(text, "HTTP/1.1 303", 12) == 0 && !strstr(text, p->cookie));
    free(text);
    free(request);
    free(host);
}

static void stop(Page *p)
{
    serve_review_stop(&p->server);
    close_fixture(&p->f);
}

static void same_version_is_nothing_new(const Page *p, const char *good)
{
    char *text = ask(p, "GET /clips.json", good, ""), version[96];
    take_between(text, "\"version\":\"", version, sizeof version, "\"");
    free(text);
    char *again = text_format("GET /clips.json?seen=%s", version);
    answers(p, again, good, "", "HTTP/1.1 204", "");
    free(again);
    answers(p, "GET /clips.json?seen=1.2.3.4", good, "", "HTTP/1.1 200", "row0");
}

static void lets_in_who_has_the_address_and_nobody_else(void **state)
{
    (void)state;
    Page p = open_page();
    start(&p);
    char *host = text_format("Host: 127.0.0.1:%d\r\n", p.port), *good = own(&p, ""),
         *other = own(&p, "Origin: http://evil.example\r\n");
    char *elsewhere = text_format("Host: evil.example\r\nCookie: review%d=%s\r\n", p.port, p.cookie);
    answers(&p, "GET /", host, "", "HTTP/1.1 403", "use the address");
    answers(&p, "GET /clips.json", host, "", "HTTP/1.1 403", "use the address");
    answers(&p, "GET /clips.json", elsewhere, "", "HTTP/1.1 403", "ask for 127.0.0.1");
    answers(&p, "GET /clips.json", other, "", "HTTP/1.1 403", "not from another site");
    answers(&p, "GET /", good, "", "HTTP/1.1 200", "frame-ancestors 'none'");
    answers(&p, "GET /review.js", good, "", "HTTP/1.1 200", "text/javascript");
    answers(&p, "GET /clips.json", good, "", "HTTP/1.1 200", "[\"row0\",\"approved\",\"");
    answers(&p, "GET /clips.json?where=state%3Dheld", good, "", "HTTP/1.1 200", "\"clips\":[]");
    answers(&p, "GET /clips.json?text=ROW0", good, "", "HTTP/1.1 200", "[\"row0\",\"approved\",\"");
    answers(&p, "GET /clips.json?text=nobody", good, "", "HTTP/1.1 200", "\"clips\":[]");
    answers(&p, "GET /clips.json?where=city%3DRome", good, "", "HTTP/1.1 400", "no such column");
    same_version_is_nothing_new(&p, good);
    answers(&p, "GET /clip.json?id=row0", good, "", "HTTP/1.1 200", "\"prompt\":\"prompt 0\"");
    answers(&p, "GET /clip.json?id=nobody", good, "", "HTTP/1.1 404", "no such clip");
    char *twice = own(&p, "Host: evil.example\r\n"), *put = own(&p, "Content-Length: 2\r\n");
    answers(&p, "GET /clips.json", twice, "", "HTTP/1.1 403", "ask for 127.0.0.1");
    answers(&p, "PUT /decide", put, "{}", "HTTP/1.1 405", "POST /decide");
    free(twice);
    free(put);
    answers(&p, "DELETE /clips.json", good, "", "HTTP/1.1 405", "POST /decide");
    free(host);
    free(good);
    free(other);
    free(elsewhere);
    stop(&p);
}

static void gives_files_of_clips_and_no_others(void **state)
{
    (void)state;
    Page p = open_page();
    char *folder = path_join(p.f.folder, "clips"), *file = path_join(folder, "stem0.mp4");
    assert_good(file_make_folders(folder));
    assert_good(file_replace(file, "0123456789", 10));
    start(&p);
    char *good = own(&p, ""), *part = own(&p, "Range: bytes=3-5\r\n"), *silly = own(&p, "Range: bytes=9-2\r\n");
    answers(&p, "GET /file?what=video&id=row0", good, "", "HTTP/1.1 200", "0123456789");
    answers(&p, "GET /file?what=video&id=row0", part, "", "HTTP/1.1 206", "Content-Range: bytes 3-5/10");
    answers(&p, "GET /file?what=video&id=row0", silly, "", "HTTP/1.1 200", "0123456789");
    answers(&p, "GET /file?what=sheet&id=row0", good, "", "HTTP/1.1 404", "not there");
    answers(&p, "GET /file?what=ledger.db&id=row0", good, "", "HTTP/1.1 404", "video, thumbnail, sheet or earlier");
    answers(&p, "GET /file?what=video&id=../ledger.db", good, "", "HTTP/1.1 404", "no such clip");
    answers(&p, "GET /../ledger.db", good, "", "HTTP/1.1 404", "no such page");
    remove(file);
    assert_int_equal(symlink("../ledger.db", file), 0);
    answers(&p, "GET /file?what=video&id=row0", good, "", "HTTP/1.1 404", "not there");
    free(good);
    free(part);
    free(silly);
    free(file);
    free(folder);
    stop(&p);
}

static void takes_decisions_with_the_secret_only(void **state)
{
    (void)state;
    static const char body[] = "{\"verb\":\"approve\",\"clips\":[\"row0\",\"row1\"],\"seen\":[\"held 01\",\"held "
                               "02\"],\"by\":\"eva\",\"reason\":\"good\"}";
    Page p = open_page();
    start(&p);
    char *good = own(&p, ""), *text = ask(&p, "GET /clips.json", good, "");
    take_between(text, "\"secret\":\"", p.secret, sizeof p.secret, "\"");
    char length[64], *wish, *without, *large;
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", sizeof body - 1);
    without = own(&p, length);
    char *headers = text_format("%sX-Review: %s\r\n", length, p.secret);
    wish = own(&p, headers);
    answers(&p, "POST /decide", without, body, "HTTP/1.1 403", "load the page again");
    assert_int_equal(p.decided, 0);
    answers(&p, "POST /decide", wish, body, "HTTP/1.1 200", "{\"answers\":{\"row0\":\"done\",\"row1\":\"other\"}}");
    assert_int_equal(p.decided, 2);
    assert_string_equal(p.last, "review approve row1 held 02 eva good");
    free(headers);
    headers = text_format("Content-Length: 3\r\nX-Review: %s\r\n", p.secret);
    free(wish);
    wish = own(&p, headers);
    answers(&p, "POST /decide", wish, "[1]", "HTTP/1.1 400", "expected {verb");
    static const char *const wrong[] = {
        "",
        "{",
        "null",
        "{\"clips\":[]}",
        "{\"verb\":\"approve\",\"clips\":[7],\"seen\":[\"x\"],\"by\":\"eva\"}",
        "{\"verb\":\"approve\",\"clips\":[\"row0\"],\"seen\":[],\"by\":\"eva\"}",
        "{\"verb\":\"approve\",\"clips\":[\"row0\"],\"seen\":[\"x\"],\"by\":\" \"}",
        "{\"verb\":\"delete\",\"clips\":[\"row0\"],\"seen\":[\"x\"],\"by\":\"eva\"}",
        "{\"verb\":\"reject\",\"clips\":[\"row0\"],\"seen\":[\"x\"],\"by\":\"eva\",\"reason\":\" \"}",
        "{\"verb\":\"approve\",\"verb\":\"reject\",\"clips\":[\"row0\"],\"seen\":[\"x\"],\"by\":\"eva\"}",
        "{\"verb\":\"approve\",\"clips\":[\"row0\"],\"seen\":[\"x\"],\"by\":\"\\ud800\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        free(headers);
        headers = text_format("Content-Length: %zu\r\nX-Review: %s\r\n", strlen(wrong[i]), p.secret);
        free(wish);
        wish = own(&p, headers);
        answers(&p, "POST /decide", wish, wrong[i], "HTTP/1.1 400", "");
    }
    enum { MUCH = 5 << 20 };
    large = memory_get(MUCH + 1, 1);
    memset(large, ' ', MUCH);
    free(headers);
    headers = text_format("Content-Length: %d\r\nX-Review: %s\r\n", MUCH, p.secret);
    free(wish);
    wish = own(&p, headers);
    answers(&p, "POST /decide", wish, large, "HTTP/1.1 413", "too many");
    assert_int_equal(p.decided, 2);
    free(large);
    free(headers);
    free(wish);
    free(without);
    free(text);
    free(good);
    stop(&p);
}

static int connect_half(const Page *p)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)p->port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, "GET / HT", 8, MSG_NOSIGNAL), 8);
    return fd;
}

static bool is_closed(int fd)
{
    char byte;
    const ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* More half requests than there is room for: the oldest go, and a browser is answered while the newest still wait. */
static void strangers_cannot_fill_it(void **state)
{
    (void)state;
    enum { STRANGERS = 300, ROOM = 192 };
    int fd[STRANGERS], closed = 0;
    Page p = open_page();
    start(&p);
    char *good = own(&p, "");
    for (int i = 0; i < STRANGERS; i++) fd[i] = connect_half(&p);
    answers(&p, "GET /clips.json", good, "", "HTTP/1.1 200", "row0");
    while (closed < STRANGERS - ROOM) { /* its threads still take in the last ones */
        usleep(10000);
        closed = 0;
        for (int i = 0; i < STRANGERS; i++) closed += is_closed(fd[i]);
    }
    if (closed > STRANGERS - ROOM + 40) fail_msg("%d of %d strangers were shut out", closed, STRANGERS);
    assert_true(is_closed(fd[0]) && !is_closed(fd[STRANGERS - 1]));
    for (int i = 0; i < STRANGERS; i++) close(fd[i]);
    free(good);
    stop(&p);
}

/* Each gate has a German name on the page; in English its own is one. */
static void names_gates_in_german(void **state)
{
    (void)state;
#define NAME(name, unit, about) #name,
    static const char *const gate[] = {GATES_LIST(NAME)};
#undef NAME
    const ServeText *t = serve_review_text;
    while (strcmp(t->path, "/review.js") != 0) t++;
    char *script = text_format("%.*s", (int)t->bytes, (const char *)t->data),
         *names = strstr(script, "gateNames: { nan:");
    assert_non_null(names);
    *strchr(names, '}') = 0;
    for (size_t i = 0; i < sizeof gate / sizeof *gate; i++) {
        char *wanted = text_format(" %s: \"", gate[i]);
        if (!strstr(names, wanted)) fail_msg("review.js: no German name of the gate %s", gate[i]);
        free(wanted);
    }
    free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_in_who_has_the_address_and_nobody_else),
        cmocka_unit_test(gives_files_of_clips_and_no_others),
        cmocka_unit_test(takes_decisions_with_the_secret_only),
        cmocka_unit_test(strangers_cannot_fill_it),
        cmocka_unit_test(names_gates_in_german),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
