#!/bin/sh
# dated_chain.sh FOLDER FROM TO: a new key and a certificate that is valid between these seconds from now, as `reelwright keys init` names them:
# FOLDER/signer.pem, chain.pem, root.pem.
set -e
mkdir -p "$1"
cd "$1"
date_of() { date -u -d "$1 seconds" +%y%m%d%H%M%SZ; }
: >index
echo 01 >serial
cat >ca.cnf <<END
[ca]
default_ca = this
[this]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
organizationName = supplied
commonName = supplied
[signer]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,emailProtection
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout root.key -out root.pem -days 3650 -subj "/O=Tests/CN=root" 2>&1
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout signer.pem -out request.pem -subj "/O=Tests/CN=farm" 2>&1
openssl ca -batch -notext -config ca.cnf -extensions signer -in request.pem -cert root.pem -keyfile root.key -startdate "$(date_of "$2")" -enddate "$(date_of "$3")" -out chain.pem 2>&1
cat root.pem >>chain.pem
