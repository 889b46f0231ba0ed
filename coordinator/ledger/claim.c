#include "claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/owner.h"

const char claim_variable[] = "REELWRIGHT_LAUNCHER";

int64_t claim_inherited(void)
{
    const char *text = getenv(claim_variable);
    return text ? strtoll(text, NULL, 10) : 0;
}

static Launcher this_launcher(char host[HOST_BYTES])
{
    const char *job = getenv("SLURM_JOB_ID"), *attempt = getenv("SLURM_RESTART_COUNT");
    host_name(host);
    return (Launcher){.host = host,
                      .pid = (int)getpid(),
                      .job = job ? job : "",
                      .attempt = job && attempt ? (int)strtol(attempt, NULL, 10) : 0};
}

Status claim_take(const char *folder, bool take_over, Claim *out)
{
    char host[HOST_BYTES] = "";
    Launcher who = this_launcher(host);
    Ledger *l = NULL;
    bool successor = false;
    *out = (Claim){.lock = -1};
    Status status = status_ok();
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    TRY_OUT(ledger_is_successor(l, &who, &successor));
    TRY_OUT(lock_take(folder, take_over || successor, &out->lock));
    TRY_OUT(ledger_begin_launch(l, &who, moment_wall_s(), &out->launch));
    if (successor) log_line(LOG_INFO, "attempt %d of job %s goes on where the last one was", who.attempt, who.job);
out:
    ledger_close(&l);
    if (failed(status)) claim_release(out);
    return status;
}

void claim_release(Claim *c) { lock_release(&c->lock); }

Status claim_check(const char *folder, const Claim *c)
{
    Ledger *l = NULL;
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) {
        ledger_join_launch(l, c->launch);
        status = ledger_check_launch(l);
    }
    ledger_close(&l);
    return failed(status) ? status_fail(ERR_FATAL, "%s", status.message) : status_ok();
}
