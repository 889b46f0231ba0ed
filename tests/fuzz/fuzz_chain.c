/* fuzz_chain.c - any bytes as an audit log: a whole chain, or a message that names the line. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/memory_file.h"
#include "trust/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TrustChain chain;
    char path[64];
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    const Status status = trust_chain_read(path, (TrustChainSink){0}, &chain);
    if (failed(status) && !strstr(status.message, path)) abort();
    if (!failed(status) && (chain.count < 0 || (size_t)chain.bytes > size)) abort();
    close(f);
    return 0;
}
