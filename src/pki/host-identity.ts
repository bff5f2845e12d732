/** The identity of a machine in one role. The private key is PKCS #8 PEM and never leaves the machine. */
export interface HostIdentity {
  readonly hostId: string;
  /** `Node`, `Proxy`, `Auth`, `Admin` */
  readonly role: string;
  readonly clusterName: string;
  readonly privateKeyPem: string;
  /** One line: `ssh-ed25519-cert-v01@openssh.com AAAA…` */
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
  /** Host authority certificates that are trusted now. */
  readonly tlsCasPem: readonly string[];
  /** authorized_keys lines of the host authority. */
  readonly sshHostCas: readonly string[];
  /**
   * The requested names; a certificate does not contain addresses that are not this machine's alone. Left out
   * for requests by an older release.
   */
  readonly askedNames?: readonly string[] | undefined;
}
