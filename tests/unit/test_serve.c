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

static Fixture open_fixture(const char *where)
{
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign(nasty, 6, 2)};
    f.campaign->settings.pilot = 1;
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
    assert_non_null(strstr(text, "row0, row1: a &lt;i&gt;reason&lt;/i&gt;"));
    assert_non_null(
        strstr(text, "<td>&lt;b&gt;host&lt;/b&gt;<td>working<td>render<td>denoise<td>1 of 4<td>row0 and 1 more"));
    assert_non_null(strstr(text, "<code>reelwright pilot approve /")); /* its clip has failed */
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "style="));
    free(text);
    assert_answer(&f, GET("/style.css", "127.0.0.1:80"), "HTTP/1.1 200", "Content-Type: text/css");
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
    Fixture f = open_fixture("[127.0.0.1]:0");
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
        cmocka_unit_test(test_metrics_are_whole),
        cmocka_unit_test(test_nothing_else_is_answered),
        cmocka_unit_test(test_slow_ones_keep_nobody_out),
        cmocka_unit_test(test_where_it_listens),
        cmocka_unit_test(test_a_folder_without_ledger_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
