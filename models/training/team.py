"""Several one-thread processes that train one model: on a busy machine faster than one process with several threads."""
import os
import socket
import subprocess
import sys

import torch
import torch.distributed as dist


class Team:
    def __init__(self, rank, size):
        self.rank, self.size, self.chief = rank, size, rank == 0

    def add_up(self, tensors):
        """Replaces each tensor by its sum over the members, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        for t, f in zip(tensors, flat.split([t.numel() for t in tensors])):
            t.copy_(f.view_as(t))

    def mean_gradients(self, parameters):
        grads = [p.grad for p in parameters if p.grad is not None]
        self.add_up(grads)
        torch._foreach_div_(grads, self.size)

    def wait(self):
        if self.size > 1:
            dist.barrier()


def launch(main, args, size):
    """Runs main(args, team) here and in size - 1 further copies of this program."""
    if size == 1:
        return main(args, Team(0, 1))
    copies = []
    if "TEAM_RANK" not in os.environ:
        with socket.socket() as s:  # any free port
            s.bind(("127.0.0.1", 0))
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(s.getsockname()[1]), OMP_NUM_THREADS="1")
        copies = [subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "TEAM_RANK": str(rank)})
                  for rank in range(1, size)]
    rank = int(os.environ.get("TEAM_RANK", 0))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=size)
    main(args, Team(rank, size))
    dist.destroy_process_group()
    if any(copy.wait() for copy in copies):
        sys.exit("a copy of this program failed")
