/**
 * The X.509 library, behind the polyfill that must run before it. Everybody takes it from here: where several files
 * imported both, a build in chunks ran the library first.
 */
import "reflect-metadata";

export * from "@peculiar/x509";
