/* test_notify.c - events that are posted, signed, tried again, given to a command, and logged when nobody takes them; against a
 * server on loopback that answers as the test says. */
#include "farm_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "common/base64.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/logbook.h"
#include "common/moment.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/notify.h"
#include "coordinator/watch/webhook.h"

enum { MOST = 8 };

typedef struct { /* answer[i] is the status of the i-th request; 0: never answered */
    int listener, port, answer[MOST], count;
    char *request[MOST];
    pthread_t thread;
    pthread_mutex_t mutex;
} Server;

static char *read_request(int fd)
{
    char *text = memory_get(1 << 16, 1);
    size_t n = 0, want = SIZE_MAX;
    while (n < want && n < (1 << 16) - 1) {
        ssize_t got = read(fd, text + n, (1 << 16) - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
        char *body = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (body && length) want = (size_t)(body + 4 - text) + strtoul(length + 15, NULL, 10);
    }
    return text;
}

static void *serve(void *self)
{
    Server *s = self;
    for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0; close(fd)) {
        char *text = read_request(fd), answer[128];
        pthread_mutex_lock(&s->mutex);
        int i = s->count < MOST ? s->count++ : MOST - 1, code = s->answer[i];
        free(s->request[i]);
        s->request[i] = text;
        pthread_mutex_unlock(&s->mutex);
        while (code == 0 && recv(fd, answer, sizeof answer, 0) > 0) continue; /* until the other side gives up */
        snprintf(answer, sizeof answer, "HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", code);
        if (code && write(fd, answer, strlen(answer)) < 0) continue;
    }
    return NULL;
}

static void start_server(Server *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof to;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&to, &bytes), 0);
    s->port = ntohs(to.sin_port);
    pthread_mutex_init(&s->mutex, NULL);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop_server(Server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    close(s->listener);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < MOST; i++) free(s->request[i]);
}

static int requests(Server *s)
{
    pthread_mutex_lock(&s->mutex);
    int n = s->count;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

typedef struct {
    char *folder;
    Events *events;
    Server server;
    NotifySettings settings;
    Notify *notify;
} Fixture;

static void open_fixture(Fixture *f)
{
    f->folder = fixture_folder();
    start_server(&f->server);
    f->settings.webhook = text_format("http://127.0.0.1:%d/hook/secret-path", f->server.port);
    assert_good(events_open(f->folder, "night", &f->events));
    events_add(f->events, 1e9, "run.finished", "{s:s}", "note", "before anybody listened");
    assert_good(events_flush(f->events));
}

static void close_fixture(Fixture *f)
{
    notify_stop(&f->notify, 5000);
    stop_server(&f->server);
    events_close(&f->events);
    free(f->settings.webhook);
    fixture_remove(f->folder);
}

static void happen(Fixture *f, const char *event, int number)
{
    events_add(f->events, 1e9, event, "{s:i}", "number", number);
    assert_good(events_flush(f->events));
}

static char *log_text(const Fixture *f)
{
    char *file = path_join(f->folder, "logs/notify.log"), *text;
    size_t bytes;
    assert_good(file_read(file, 1 << 20, &text, &bytes));
    free(file);
    return text;
}

static char *header(const char *request, const char *name) /* free() it */
{
    char *at = strcasestr(request, name);
    assert_non_null(at);
    at += strlen(name) + 2;
    return strndup(at, strcspn(at, "\r\n"));
}

static void test_an_event_is_posted_signed_and_tried_again(void **state)
{
    (void)state;
    Fixture f = {.server.answer = {500, 200, 200}};
    char *expected, *key_file;
    unsigned char digest[HASH_BYTES];
    open_fixture(&f);
    key_file = path_join(f.folder, "key");
    assert_good(file_replace(key_file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 39));
    f.settings.secret_file = key_file;
    assert_good(notify_start(f.folder, &f.settings, &f.notify));
    happen(&f, "clip.failed", 1);
    happen(&f, "lease.given", 2); /* nobody asked for it */
    while (requests(&f.server) < 2) moment_sleep_ms(20);
    notify_stop(&f.notify, 20000);
    assert_int_equal(f.server.count, 2);
    char *id = header(f.server.request[0], "webhook-id"), *again = header(f.server.request[1], "webhook-id");
    assert_string_equal(id, again); /* the same delivery */
    char *when = header(f.server.request[1], "webhook-timestamp");
    char *signature = header(f.server.request[1], "webhook-signature");
    char *body = strstr(f.server.request[1], "\r\n\r\n") + 4;
    assert_non_null(strstr(body, "\"event\":\"clip.failed\",\"campaign\":\"night\",\"number\":1}"));
    size_t bytes;
    unsigned char *key = base64_bytes("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &bytes);
    assert_int_equal(bytes, 24);
    char *text = text_format("%s.%s.%s", id, when, body);
    hash_sign(key, bytes, text, strlen(text), digest);
    char *base64 = base64_text(digest, sizeof digest);
    expected = text_format("v1,%s", base64);
    assert_string_equal(signature, expected);
    char *log = log_text(&f);
    assert_non_null(strstr(log, "delivered to the webhook, at try 2"));
    assert_null(strstr(log, "secret-path")); /* nor the address, nor the key is in a log */
    assert_null(strstr(log, "MfKQ"));
    char *all[] = {id, again, when, signature, text, base64, expected, log, (char *)key, key_file};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    close_fixture(&f);
}

/* The specification's own example. */
static void test_the_signature_is_the_standard_one(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char digest[HASH_BYTES], *key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\r\n", &bytes);
    static const char text[] = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
    assert_int_equal(bytes, 24);
    hash_sign(key, bytes, text, sizeof text - 1, digest);
    char *base64 = base64_text(digest, sizeof digest);
    assert_string_equal(base64, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    free(base64);
    free(key);
    key = webhook_key("just words\n", &bytes);
    assert_int_equal(bytes, 10);
    assert_memory_equal(key, "just words", 10);
    free(key);
    assert_null(webhook_key("\n", &bytes));
    assert_null(webhook_key("whsec_not base64!", &bytes));
}

static void test_what_nobody_takes_is_logged_and_holds_nothing_up(void **state)
{
    (void)state;
    Fixture f = {.server.answer = {410, 0}}; /* gone for good; then never answered */
    open_fixture(&f);
    assert_good(notify_start(f.folder, &f.settings, &f.notify));
    happen(&f, "run.stuck", 1);
    while (requests(&f.server) < 1) moment_sleep_ms(20);
    happen(&f, "run.finished", 2);
    happen(&f, "clip.failed", 3);
    while (requests(&f.server) < 2) moment_sleep_ms(20);
    int64_t since_ms = moment_ms();
    notify_stop(&f.notify, 500); /* the second one hangs: it is given up, and the third not begun */
    assert_in_range(moment_ms() - since_ms, 400, 8000);
    char *log = log_text(&f);
    assert_non_null(strstr(log, "run.stuck: NOT DELIVERED: 127.0.0.1"));
    assert_non_null(strstr(log, "answered with status 410"));
    assert_non_null(strstr(log, "run.finished: NOT DELIVERED"));
    assert_non_null(strstr(log, "clip.failed: NOT DELIVERED: no time was left for it: {\"time\""));
    assert_null(strstr(log, "before anybody listened"));
    free(log);
    assert_int_equal(f.server.count, 2);
    close_fixture(&f);
}

static void test_a_post_waits_as_long_as_it_may(void **state)
{
    (void)state;
    Fixture f = {.server.answer = {0, 503}};
    bool answered = true;
    open_fixture(&f);
    WebhookPost p = {
        .address = f.settings.webhook, .id = "msg_1", .body = "{}", .limit_s = 0.25, .answered = &answered};
    assert_refused(webhook_post(&p), ERR_RETRY, "no answer within 0.25 s");
    assert_false(answered);
    p.limit_s = 600; /* an upload's limit: a webhook does not wait so long */
    assert_refused(webhook_post(&p), ERR_RETRY, "answered with status 503");
    assert_true(answered);
    close_fixture(&f);
}

static void test_a_command_reads_the_event(void **state)
{
    (void)state;
    Fixture f = {.server.answer = {200, 200, 200}};
    open_fixture(&f);
    free(f.settings.webhook);
    f.settings.webhook = NULL;
    char *command = text_format("cat >>'%s/told'; echo said something; exit $(grep -c '\"number\":2' '%s/told')",
                                f.folder, f.folder),
         *told = path_join(f.folder, "told"), *text;
    f.settings.command = command;
    f.settings.event_count = 1;
    snprintf(f.settings.event[0], NOTIFY_EVENT_BYTES, "pilot.ready");
    assert_good(notify_start(f.folder, &f.settings, &f.notify));
    happen(&f, "pilot.ready", 1);
    happen(&f, "run.stuck", 9);
    happen(&f, "pilot.ready", 2);
    notify_stop(&f.notify, 60000);
    size_t bytes;
    assert_good(file_read(told, 1 << 16, &text, &bytes));
    assert_non_null(strstr(text, "\"number\":1}\n"));
    assert_non_null(strstr(text, "\"number\":2}\n"));
    assert_null(strstr(text, "run.stuck"));
    free(text);
    text = log_text(&f);
    assert_non_null(strstr(text, "pilot.ready: the command was run"));
    assert_non_null(strstr(text, "said something"));
    assert_non_null(strstr(text, "NOT DELIVERED: the command ended with status 1"));
    free(text);
    free(told);
    free(command);
    close_fixture(&f);
}

static void test_nobody_to_tell_and_a_missing_key(void **state)
{
    (void)state;
    Notify *n;
    NotifySettings nobody = {0}, keyless = {.webhook = (char *)(uintptr_t) "http://127.0.0.1:1/",
                                            .secret_file = (char *)(uintptr_t) "/nowhere/key"};
    assert_good(notify_start("/nowhere", &nobody, &n));
    assert_null(n);
    assert_refused(notify_start("/nowhere", &keyless, &n), ERR_INPUT, "notify.secret_file: ");
    assert_null(n);
}

static void test_a_logbook_is_bounded(void **state)
{
    (void)state;
    char *folder = fixture_folder(), *file = path_join(folder, "logs/a.log"), *old = text_format("%s.1", file), *text;
    Logbook *b;
    int64_t now_bytes, old_bytes;
    size_t bytes;
    assert_good(logbook_open(file, 10000, &b));
    for (int i = 0; i < 2000; i++) logbook_line(b, "line %d\nwith a break", i);
    logbook_close(&b);
    logbook_line(NULL, "nowhere");
    assert_good(file_size(file, &now_bytes));
    assert_good(file_size(old, &old_bytes));
    assert_in_range(now_bytes, 1, 10100);
    assert_in_range(old_bytes, 10000, 10100);
    assert_good(file_read(file, 1 << 16, &text, &bytes));
    assert_non_null(strstr(text, "Z line 1999 with a break\n"));
    free(text);
    free(old);
    free(file);
    fixture_remove(folder);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_is_posted_signed_and_tried_again),
        cmocka_unit_test(test_the_signature_is_the_standard_one),
        cmocka_unit_test(test_what_nobody_takes_is_logged_and_holds_nothing_up),
        cmocka_unit_test(test_a_post_waits_as_long_as_it_may),
        cmocka_unit_test(test_a_command_reads_the_event),
        cmocka_unit_test(test_nobody_to_tell_and_a_missing_key),
        cmocka_unit_test(test_a_logbook_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
