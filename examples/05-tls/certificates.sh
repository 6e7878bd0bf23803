#!/bin/sh
# Makes an authority and what it vouches for, in tls/ beside this file; run again, it renews all but the authority.
set -eu
umask 077
mkdir -p "$(dirname "$0")/tls"
cd "$(dirname "$0")/tls"

new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
[ -e ca.pem ] || openssl req -x509 $new_key -days 365 -subj /CN=example -keyout ca.key -out ca.pem

issue() {
  openssl req $new_key -subj "/CN=$1" -keyout "$1.key.new" -out "$1.csr"
  echo "subjectAltName=$2" |
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile /dev/stdin -out "$1.pem.new"
  rm "$1.csr"
  mv "$1.pem.new" "$1.pem"
  mv "$1.key.new" "$1.key"
}

{
  issue shop DNS:shop.localhost
  issue partners DNS:partners.localhost
  issue orders DNS:orders.localhost
  issue gateway URI:spiffe://example/gateway
  issue partner URI:spiffe://example/partner
} 2>/dev/null
ls ./*.pem
