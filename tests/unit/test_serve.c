/* test_serve.c - the status page and the metrics as a browser and Prometheus see them, and what is refused. */
#include "farm_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/watch/metrics.h"
#include "coordinator/watch/progress.h"
#include "coordinator/watch/serve.h"
#include "coordinator/watch/status_page.h"

typedef struct {
    char *folder;
    Campaign *campaign;
    Ledger *ledger;
    Serve *serve;
} Fixture;

static const char nasty[] = "n\"ight </h1><script>alert(1)</script> \\ &amp;";

static Fixture open_piloted(const char *where, int pilot)
{
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign(nasty, 6, 2)};
    f.campaign->settings.pilot = pilot;
    snprintf(f.campaign->settings.deadline, DEADLINE_BYTES, "2001-01-01 06:00");
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    assert_good(ledger_begin(f.ledger, 102));
    WorkerLine line = {.rank = 1,
                       .pid = 7,
                       .host = "<b>host</b>",
                       .state = "working",
                       .stage = "denoise",
                       .clip = "row0",
                       .clip_count = 2,
                       .shot = 0,
                       .done = 1,
                       .total = 4};
    assert_good(ledger_note_worker(f.ledger, &line));
    fixture_fail(f.ledger, LEASE_RENDER, 0, "host:7", LEASE_FAILED);
    assert_good(ledger_give_up(f.ledger, LEASE_RENDER, 0, "a <i>reason</i>", &(bool){false}));
    assert_good(ledger_commit(f.ledger));
    if (where) assert_good(serve_start(where, (const char *const[]){f.folder}, 1, &f.serve));
    return f;
}

static Fixture open_fixture(const char *where) { return open_piloted(where, 1); }

static void close_fixture(Fixture *f)
{
    serve_stop(&f->serve);
    ledger_close(&f->ledger);
    fixture_campaign_free(f->campaign);
    fixture_remove(f->folder);
}

static char *ask(const Fixture *f, const char *request) /* %d of the request becomes the port; free() the answer */
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)serve_port(f->serve))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    char *text = memory_get(1 << 20, 1);
    size_t n = 0;
    for (ssize_t got; n < (1 << 20) - 1 && (got = read(fd, text + n, (1 << 20) - 1 - n)) > 0;) n += (size_t)got;
    close(fd);
    return text;
}

static void assert_answer(const Fixture *f, const char *request, const char *status, const char *holds)
{
    char *text = ask(f, request);
    if (strncmp(text, status, strlen(status)) != 0) fail_msg("%s: %.200s", request, text);
    if (!strstr(text, holds)) fail_msg("%s: no \"%s\" in %s", request, holds, text);
    free(text);
}

#define GET(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\nConnection: close\r\n\r\n"

static void test_the_page_shows_texts_as_texts(void **state)
{
    (void)state;
    Fixture f = open_fixture("0");
    char *text = ask(&f, GET("/", "localhost"));
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_non_null(strstr(text, "Content-Security-Policy: default-src 'none'; style-src 'self';"));
    assert_non_null(strstr(text, "n&quot;ight &lt;/h1&gt;&lt;script&gt;alert(1)&lt;/script&gt; \\ &amp;amp;"));
    assert_non_null(strstr(text, "<tr><td>row0<td class=why>a &lt;i&gt;reason&lt;/i&gt;<tr><td>row1<td"));
    assert_non_null(strstr(
        text, "<td>&lt;b&gt;host&lt;/b&gt;<td>working<td>render<td>denoise<td>1 of 4<td><bdi>row0</bdi> and 1 more"));
    assert_non_null(strstr(text, "`reelwright pilot approve /")); /* its clip has failed */
    assert_non_null(strstr(text, "<script src=/status.js defer></script>"));
    assert_null(strstr(text, "<script>"));
    assert_null(strstr(text, "style="));
    assert_null(strstr(text, "<button"));
    assert_null(strstr(text, "/c/0/")); /* no pictures, no files */
    assert_non_null(strstr(text, "data-secret=''"));
    free(text);
    assert_answer(&f, GET("/style.css", "127.0.0.1:80"), "HTTP/1.1 200", "Content-Type: text/css");
    assert_answer(&f, GET("/status.js", "127.0.0.1:80"), "HTTP/1.1 200", "Content-Type: text/javascript");
    close_fixture(&f);
}

/* As a browser that was let in: the answer to METHOD PATH, with these headers and body. free() it. */
static char *ask_inside(const Fixture *f, const char *cookie, const char *what, const char *headers, const char *body)
{
    char *request = text_format("%s HTTP/1.1\r\nHost: localhost:1234\r\nCookie: %s\r\nContent-Length: %zu\r\n%s"
                                "Connection: close\r\n\r\n%s",
                                what, cookie, strlen(body), headers, body);
    char *text = ask(f, request);
    free(request);
    return text;
}

static void assert_inside(const Fixture *f, const char *cookie, const char *what, const char *headers, const char *body,
                          const char *status, const char *holds)
{
    char *text = ask_inside(f, cookie, what, headers, body);
    if (strncmp(text, status, strlen(status)) != 0 || !strstr(text, holds))
        fail_msg("%s: expected %s and \"%s\": %.600s", what, status, holds, text);
    free(text);
}

static char *take_between(const char *text, const char *begins, const char *ends) /* free() it */
{
    const char *at = strstr(text, begins);
    assert_non_null(at);
    at += strlen(begins);
    return text_format("%.*s", (int)strcspn(at, ends), at);
}

static void put_file(const Fixture *f, const char *name, const char *text)
{
    char *path = path_join(f->folder, name), *folder = text_format("%.*s", (int)(strrchr(path, '/') - path), path);
    assert_good(file_make_folders(folder));
    assert_good(file_replace(path, text, strlen(text)));
    free(folder);
    free(path);
}

static int64_t open_requests(const Fixture *f, char *verb, size_t room)
{
    LedgerRequest r;
    assert_good(ledger_next_request(f->ledger, &r));
    const int64_t id = r.id;
    if (id) snprintf(verb, room, "%s", r.verb);
    ledger_request_clear(&r);
    return id;
}

static void test_who_comes_by_the_address_sees_and_steers(void **state)
{
    (void)state;
    Fixture f = open_piloted("0", 0);
    assert_good(ledger_begin(f.ledger, 103));
    fixture_render(f.ledger, 1, "host:7");
    fixture_finish(f.ledger, 2, "host:7");
    assert_good(ledger_commit(f.ledger));
    put_file(&f, "clips/stem2.png", "a picture");
    put_file(&f, "report/index.html", "<script>1</script>");
    char *token = take_between(serve_address(f.serve), "/?", " "), *way = text_format("GET /?%s", token), verb[32] = "";
    assert_answer(&f, GET("/?token=00000000000000000000000000000000", "localhost"), "HTTP/1.1 403", "not the address");
    char *text = ask_inside(&f, "none", way, "", ""), *cookie = take_between(text, "Set-Cookie: ", ";");
    assert_non_null(strstr(text, "HTTP/1.1 303"));
    assert_non_null(strstr(text, "HttpOnly; SameSite=Strict"));
    free(text);
    assert_inside(&f, cookie, "GET /", "", "", "HTTP/1.1 200", "href='/c/0/clips/stem2.mp4'");
    assert_inside(&f, cookie, "GET /", "", "", "HTTP/1.1 200", "data-verb=pause");
    assert_inside(&f, cookie, "GET /", "", "", "HTTP/1.1 200", "data-verb=retry");
    assert_inside(&f, cookie, "GET /c/0/clips/stem2.png", "", "", "HTTP/1.1 200", "a picture");
    assert_inside(&f, cookie, "GET /c/0/clips/stem2.png", "Range: bytes=2-4\r\n", "", "HTTP/1.1 206", "bytes 2-4/9");
    assert_inside(&f, cookie, "GET /c/0/report/index.html", "", "", "HTTP/1.1 200", "script-src 'unsafe-inline'");
    put_file(&f, "clips/stem2.html", "<script>2</script>");
    assert_inside(&f, cookie, "GET /c/0/clips/stem2.html", "", "", "HTTP/1.1 200", "Content-Type: text/plain");
    assert_inside(&f, "none", "GET /c/0/clips/stem2.png", "", "", "HTTP/1.1 404", "");
    static const char *const hidden[] = {"/c/0/ledger.db",
                                         "/c/0/clips/../ledger.db",
                                         "/c/0/clips/%2e%2e/ledger.db",
                                         "/c/0//etc/passwd",
                                         "/c/1/clips/stem2.png",
                                         "/c/-1/clips/stem2.png",
                                         "/c/x/clips/a",
                                         "/c/0/clips/",
                                         "/c/0/clips/.secret",
                                         "/c/0/audit.key",
                                         "/c/0/delivery.csv/x"};
    put_file(&f, "clips/.secret", "x");
    put_file(&f, "audit.key", "x");
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        char *what = text_format("GET %s", hidden[i]);
        assert_inside(&f, cookie, what, "", "", "HTTP/1.1 404", "");
        free(what);
    }
    /* a button needs the page's secret, and no other site's page can press it */
    text = ask_inside(&f, cookie, "GET /", "", "");
    char *secret = take_between(text, "data-secret='", "'"), *headers = text_format("X-Page: %s\r\n", secret),
         *elsewhere = text_format("X-Page: %s\r\nOrigin: http://localhost:99\r\n", secret);
    static const char pause[] = "{\"campaign\":0,\"verb\":\"pause\"}";
    assert_inside(&f, cookie, "POST /steer", "", pause, "HTTP/1.1 403", "load the page again");
    assert_inside(&f, "none", "POST /steer", headers, pause, "HTTP/1.1 405", "");
    assert_inside(&f, cookie, "POST /steer", elsewhere, pause, "HTTP/1.1 403", "not from another site");
    assert_inside(&f, cookie, "POST /steer", headers, "{\"campaign\":0,\"verb\":\"cancel\"}", "HTTP/1.1 400",
                  "no such button");
    assert_inside(&f, cookie, "POST /steer", headers, "{\"campaign\":1,\"verb\":\"pause\"}", "HTTP/1.1 400",
                  "expected {");
    assert_inside(&f, cookie, "POST /steer", headers, "nonsense", "HTTP/1.1 400", "expected {");
    assert_int_equal(open_requests(&f, verb, sizeof verb), 0);
    assert_inside(&f, cookie, "POST /steer", headers, pause, "HTTP/1.1 200", "asked for");
    assert_int_not_equal(open_requests(&f, verb, sizeof verb), 0);
    assert_string_equal(verb, "pause");
    char *const all[] = {text, secret, headers, elsewhere, token, way, cookie};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    close_fixture(&f);
}

static void test_metrics_are_whole(void **state)
{
    (void)state;
    Fixture f = open_fixture("127.0.0.1:0");
    char *text = ask(&f, GET("/metrics", "localhost"));
    static const char name[] = "campaign=\"n\\\"ight </h1><script>alert(1)</script> \\\\ &amp;\"";
    static const char *const want[] = {
        "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "reelwright_clips{%s,state=\"failed\"} 2\n",
        "reelwright_clips{%s,state=\"planned\"} 4\n",
        "reelwright_shots{%s,state=\"failed\"} 1\n",
        "reelwright_workers{%s,state=\"working\"} 1\n",
        "reelwright_worker_shots_total{%s,worker=\"1\",host=\"<b>host</b>\"} 0\n",
        "reelwright_leases_total{%s,kind=\"render\",outcome=\"failed\"} 1\n",
        "reelwright_leases_total{%s,kind=\"finish\",outcome=\"done\"} 0\n",
        "reelwright_stage_seconds_total{%s,stage=\"denoise\"} 0\n",
        "reelwright_waiting{%s} 1\n",
        "reelwright_running{%s} 1\n",
        "# TYPE reelwright_steps counter\n",
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char line[256];
        const char *hole = strstr(want[i], "%s");
        snprintf(line, sizeof line, "%.*s%s%s", hole ? (int)(hole - want[i]) : (int)strlen(want[i]), want[i],
                 hole ? name : "", hole ? hole + 2 : "");
        if (!strstr(text, line)) fail_msg("no \"%s\" in:\n%s", line, text);
    }
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    free(text);
    close_fixture(&f);
}

static void test_nothing_else_is_answered(void **state)
{
    (void)state;
    Fixture f = open_fixture("127.0.0.2:0"), g = open_fixture("[127.0.0.1]:0");
    assert_int_equal(strncmp(serve_address(f.serve), "http://127.0.0.2:", 17), 0);
    close_fixture(&f);
    f = g;
    assert_answer(&f, GET("/ledger.db", "localhost"), "HTTP/1.1 404", "/metrics");
    assert_answer(&f, GET("/../../etc/passwd", "localhost"), "HTTP/1.1 404", "/metrics");
    assert_answer(&f, GET("/", "evil.example"), "HTTP/1.1 403", "ask for localhost");
    assert_answer(&f, GET("/", "localhost.evil.example"), "HTTP/1.1 403", "ask for localhost");
    assert_answer(&f, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 403", "ask for localhost");
    assert_answer(&f, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
                  "HTTP/1.1 405", "Allow: GET, HEAD");
    assert_answer(&f, "DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 405", "");
    assert_answer(&f, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 200", "text/html");
    char *garbage = ask(&f, "\r\n\x01\x02 nonsense\r\n\r\n");
    free(garbage);
    assert_answer(&f, GET("/", "localhost"), "HTTP/1.1 200", "<!doctype html>");
    close_fixture(&f);
}

static int open_connection(const Fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)serve_port(f->serve))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Many that connect and say little keep nobody out. */
static void test_slow_ones_keep_nobody_out(void **state)
{
    (void)state;
    enum { SLOW = 300 };
    int fd[SLOW];
    Fixture f = open_fixture("0");
    for (int i = 0; i < SLOW; i++) {
        fd[i] = open_connection(&f);
        ssize_t n = send(fd[i], "GET / HT", 8, MSG_NOSIGNAL);
        (void)n;
        if (i == 60 || i == 200 || i == SLOW - 1)
            assert_answer(&f, GET("/", "localhost"), "HTTP/1.1 200", "<!doctype html>");
    }
    for (int i = 0; i < SLOW; i++) close(fd[i]);
    assert_answer(&f, GET("/", "localhost"), "HTTP/1.1 200", "<!doctype html>");
    close_fixture(&f);
}

static void test_where_it_listens(void **state)
{
    (void)state;
    Fixture f = open_fixture("0"), other = open_fixture(NULL);
    const char *const folder[] = {f.folder};
    static const char *const wrong[] = {"",        "x",     "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000",
                                        "host:80", "[::1]", "1:2:3",     "-1"};
    Serve *s;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Status status = serve_start(wrong[i], folder, 1, &s);
        if (status.err != ERR_INPUT || !strstr(status.message, "expected PORT, or ADDRESS:PORT"))
            fail_msg("--listen \"%s\": %s", wrong[i], status.message);
        assert_null(s);
    }
    char *taken = text_format("127.0.0.1:%d", serve_port(f.serve));
    assert_refused(serve_start(taken, folder, 1, &s), ERR_INPUT, "cannot listen there");
    free(taken);
    close_fixture(&other);
    close_fixture(&f);
}

/* What a page says while a ledger cannot be read: nothing of it, and the rest. */
static void test_a_folder_without_ledger_is_left_out(void **state)
{
    (void)state;
    Fixture f = open_fixture(NULL);
    assert_good(serve_start("0", (const char *const[]){"/nowhere/at/all", f.folder}, 2, &f.serve));
    assert_answer(&f, GET("/", "localhost"), "HTTP/1.1 200", "&lt;script&gt;");
    assert_answer(&f, GET("/metrics", "localhost"), "HTTP/1.1 200", "state=\"planned\"} 4\n");
    close_fixture(&f);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_page_shows_texts_as_texts),
        cmocka_unit_test(test_who_comes_by_the_address_sees_and_steers),
        cmocka_unit_test(test_metrics_are_whole),
        cmocka_unit_test(test_nothing_else_is_answered),
        cmocka_unit_test(test_slow_ones_keep_nobody_out),
        cmocka_unit_test(test_where_it_listens),
        cmocka_unit_test(test_a_folder_without_ledger_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
