"""What the training loops share: where to compute, the optimizer, averaged weights, the rate's course, resuming and saving."""
import os
import time

import numpy as np
import torch

from muon import Muon


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision():
    """bf16 matrix products on a GPU, where they are many times faster; fp32 on a CPU, where they are not."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return torch.autocast(device(), torch.bfloat16, enabled=device() == "cuda")


def options(parser, steps, lr):
    parser.add_argument("--work", default="work")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by the clock, the rate falling in time; a pause counts little")
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--ema", type=float, default=0.995)
    parser.add_argument("--save-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else 2)


class Trainer:
    """The course of one training: `trained` are named parameters, `publish` writes the model while they hold their averages."""

    def __init__(self, args, team, name, trained, publish, **facts):
        self.args, self.team, self.trained, self.publish = args, team, trained, publish
        self.file = f"{args.work}/state/{name}.pt"
        self.parameters = list(trained.values())
        self.optimizer = Muon(self.parameters, args.lr, team)
        self.average = [p.detach().clone() for p in self.parameters]
        self.step, self.spent, self.facts = 0, 0.0, facts
        if os.path.exists(self.file):
            self.resume(torch.load(self.file, map_location=device()))
        self.began = self.step
        self.rng = np.random.default_rng([self.step, team.rank])
        torch.manual_seed(10 * self.step + team.rank)
        self.figures, self.last = [], time.time()

    def resume(self, state):
        with torch.no_grad():
            for name, p in self.trained.items():
                p.copy_(state["trained"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step, self.spent, self.facts = (state[k] for k in ("average", "step", "spent", "facts"))

    def save(self):
        if not self.team.chief:
            return
        os.makedirs(os.path.dirname(self.file), exist_ok=True)
        torch.save({"trained": {k: p.detach() for k, p in self.trained.items()}, "optimizer": self.optimizer.state_dict(),
                    "average": self.average, "step": self.step, "spent": self.spent, "facts": self.facts}, self.file + ".new")
        os.replace(self.file + ".new", self.file)
        with torch.no_grad():
            live = [p.detach().clone() for p in self.parameters]
            torch._foreach_copy_(self.parameters, self.average)
            self.publish()
            torch._foreach_copy_(self.parameters, live)

    def progress(self):
        return max(self.step / self.args.steps, self.spent / self.args.seconds)

    def running(self):
        return self.progress() < 1

    def rate(self):
        """Rises over 50 steps, holds for half of the course, then falls to 3 %."""
        return self.args.lr * min(1, (self.step + 1) / 50) * min(1, max(0.03, (1 - self.progress()) / 0.5))

    def descend(self, loss, figures):
        """One step down this loss; the figures are printed as means of 25 steps."""
        self.optimizer.zero_grad()
        loss.backward()
        self.team.mean_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step(self.rate())
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - min(self.args.ema, (1 + self.step) / (10 + self.step)))
        self.figures.append(torch.stack([v.detach().float() for v in figures.values()]))
        if self.step % 25 == 0:
            self.report(figures)
        now = time.time()
        self.spent += min(now - self.last, 1.0)
        self.last = now
        if self.step % self.args.save_every == 0:
            self.save()

    def report(self, names):
        means = torch.stack(self.figures).mean(0).tolist()
        if self.team.chief:
            print(f"step {self.step} ", *(f"{k} {v:.4f}" for k, v in zip(names, means)), f" {self.spent / self.step:.3f} s/step", flush=True)
        self.figures.clear()
