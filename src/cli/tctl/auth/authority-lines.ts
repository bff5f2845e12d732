/*
 * Keys of authorities as files of OpenSSH have them. Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT" and
 * "SSH_KNOWN_HOSTS FILE FORMAT"; reference 4.4, `tctl auth export`.
 */

/** For `TrustedUserCAKeys`, less its first word, and for authorized_keys. */
export const userAuthorityLine = (clusterName: string, key: string): string =>
  `cert-authority ${key} clustername=${clusterName}&type=user`;

/** For known_hosts: the nodes of the cluster, by their names in it. */
export const hostAuthorityLine = (clusterName: string, key: string): string =>
  `@cert-authority *.${clusterName} ${key} type=host`;
