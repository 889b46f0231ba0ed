# env.sh - what a job needs before it starts: the one file that a site edits. Read by every script beside it, on the first node of
# the job; what it exports reaches the ranks on all nodes when its name begins with REELWRIGHT_, OMP_, NCCL_, or when it
# is LD_LIBRARY_PATH. Other settings of Open MPI and PRRTE (OMPI_MCA_*, PRTE_MCA_*) it passes on itself.
#
# Everything below is off. Nothing is needed where ./quickstart.sh build has put Open MPI into .venv on a shared file system.

# -- the program: the executable that this copy built, unless set here. It must lie at the same path on every node.
# export REELWRIGHT=/shared/reelwright/build/reelwright

# -- libraries that a module provides (the build must have used the same):
# module load openmpi/5.0 cuda/12.4

# -- which network the ranks talk over, where nodes have several. They exchange little (leases, heartbeats, results); only groups
#    of several GPUs that span nodes need the fast one, and those use NCCL.
# export OMPI_MCA_btl_tcp_if_include=ib0
# export PRTE_MCA_prte_if_include=ib0
# export NCCL_SOCKET_IFNAME=ib0

# -- a node that is cut off silently. Its work goes to others after --step-limit. mpirun itself looks at the connection after
#    300 s and ends the job 180 s later; the launcher then starts it again on the nodes that answer. Sooner:
# export PRTE_MCA_oob_tcp_keepalive_time=30 PRTE_MCA_oob_tcp_keepalive_intvl=5 PRTE_MCA_oob_tcp_keepalive_probes=3

# -- threads of one worker (by default the cores of a node divided by the workers on it)
# export OMP_NUM_THREADS=8

# -- the campaign's folder on a file system that several nodes mount: how the ledger is written. `rollback` needs working file
#    locks and no shared memory; it is chosen by itself on NFS, Lustre, GPFS, BeeGFS, CephFS, SMB and FUSE. `wal` is faster where
#    the launcher's node is the only one that opens the ledger.
# export REELWRIGHT_JOURNAL=rollback
