/* fuzz_http.c - any bytes as what follows a request's first word, at the status
 * page and at the review page: address, conditions, ranges, cookies, headers,
 * bodies. A line "TOKEN" stands for what lets one in, so that what is behind
 * the door is reached, too. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/watch/serve.h"
#include "coordinator/watch/serve_review.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STATUS_PAGE, REVIEW_PAGE, PAGES };
static struct {
    int port;
    char *pass; /* Host, cookie and, of the status page, its secret: header lines */
} page[PAGES];

/* Hundreds of connections a second use up this machine's ports, for each is kept a minute after its end: then one is waited for. */
static bool reach(int fd, const struct sockaddr_in *to)
{
    while (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0) {
        if (errno == EISCONN) return true; /* while a signal, libFuzzer's clock, was taken */
        if (errno == EADDRNOTAVAIL)
            usleep(100000);
        else if (errno != EINTR && errno != EALREADY)
            return false;
    }
    return true;
}

/* What the server answers until it has closed, or has nothing to say for so
 * long; the first 64 KiB. free() it. */
static char *talk(int port, const char *text, size_t bytes, int wait_ms)
{
    enum { MOST = 1 << 16 };
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *got = memory_get(MOST + 1, 1);
    const struct timeval patience = {.tv_usec = wait_ms * 1000};
    size_t n = 0;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd < 0 || !reach(fd, &to)) perror("fuzz_http: the server is gone"), abort();
    for (size_t sent = 0; sent < bytes;) {
        const ssize_t k = send(fd, text + sent, bytes - sent, MSG_NOSIGNAL);
        if (k <= 0) break;
        sent += (size_t)k;
    }
    shutdown(fd, SHUT_WR);
    for (ssize_t k; n < MOST && (k = read(fd, got + n, MOST - n)) > 0;) n += (size_t)k;
    close(fd);
    return got;
}

static char *between(const char *text, const char *before, const char *ends)
{
    const char *at = strstr(text, before);
    if (!at) return text_copy("");
    at += strlen(before);
    return text_format("%.*s", (int)strcspn(at, ends), at);
}

static void enter(int which, const char *address)
{
    char *port = between(address, "127.0.0.1:", "/"), *token = between(address, "token=", " \n");
    page[which].port = atoi(port);
    char *text = text_format("GET /?token=%s HTTP/1.1\r\nHost: "
                             "127.0.0.1:%s\r\nConnection: close\r\n\r\n",
                             token, port),
         *got = talk(page[which].port, text, strlen(text), 999), *cookie = between(got, "Set-Cookie: ", ";");
    page[which].pass = text_format("Host: 127.0.0.1:%s\r\nCookie: %s\r\n", port, cookie);
    free(text);
    free(got);
    text = text_format("GET / HTTP/1.1\r\n%sConnection: close\r\n\r\n", page[which].pass);
    got = talk(page[which].port, text, strlen(text), 999);
    char *secret = between(got, "data-secret='", "'"),
         *more = text_format("%sX-Page: %s\r\n", page[which].pass, secret);
    free(page[which].pass);
    page[which].pass = more;
    free(secret);
    free(got);
    free(text);
    free(cookie);
    free(token);
    free(port);
}

static Status refuse(void *self, const LedgerRequest *r, int64_t count, RequestAnswer *answer)
{
    (void)self, (void)r, (void)count, (void)answer;
    return status_fail(ERR_INPUT, "no campaign");
}

static void start(void)
{
    static char folder[] = "/tmp/fuzz-http-XXXXXX";
    static Serve *serve; /* they live as long as the process */
    static ReviewServer *review;
    const char *const one[] = {folder};
    if (!mkdtemp(folder) || failed(serve_start("0", one, 1, &serve)) ||
        failed(serve_review_start(folder, 0, (ReviewHost){refuse, NULL, NULL}, &review)))
        abort();
    enter(STATUS_PAGE, serve_address(serve));
    char *address = serve_review_address(review);
    enter(REVIEW_PAGE, address);
    free(address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char in[] = "TOKEN\n";
    if (!page[0].port) start();
    if (size < 1) return 0;
    const int which = data[0] & 1 ? REVIEW_PAGE : STATUS_PAGE;
    const char *body = (const char *)data + 1;
    char *text = text_format("%.*s", (int)(size - 1), body), *at = strstr(text, in), *whole;
    const size_t length = strlen(text);
    if (at) {
        *at = 0;
        whole = text_format("%s%s%s", text, page[which].pass, at + sizeof in - 1);
        free(talk(page[which].port, whole, strlen(whole), 10));
        free(whole);
    } else {
        free(talk(page[which].port, body, length < size - 1 ? size - 1 : length, 10));
    }
    free(text);
    return 0;
}
