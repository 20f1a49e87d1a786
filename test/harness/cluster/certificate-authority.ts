import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Who a certificate stands for: Kubernetes reads the user's name from CN and the groups from O. */
export interface Identity {
  user: string;
  groups?: string[];
}

/** PEM text and the files that hold it. */
export interface Certificate {
  certFile: string;
  keyFile: string;
  cert: string;
  key: string;
}

/** A certificate authority in a folder, which both sides of every connection of a test cluster trust and nobody else. */
export class CertificateAuthority {
  readonly certFile: string;
  readonly cert: string;
  readonly #folder: string;
  #issued = 0;

  private constructor(folder: string, certFile: string, cert: string) {
    this.#folder = folder;
    this.certFile = certFile;
    this.cert = cert;
  }

  static async create(folder: string): Promise<CertificateAuthority> {
    const certFile = join(folder, 'ca.crt');
    await openssl([
      ...newCertificate('/CN=test-cluster-ca', join(folder, 'ca.key'), certFile),
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
    ]);
    return new CertificateAuthority(folder, certFile, await readFile(certFile, 'utf8'));
  }

  /** Makes a certificate of a server that is reached by these addresses and names. */
  issueServer(name: string, hosts: string[]): Promise<Certificate> {
    const names = hosts.map((host) => (/^[\d.]+$|:/.test(host) ? `IP:${host}` : `DNS:${host}`));
    return this.#issue(name, `/CN=${name}`, 'serverAuth', [`subjectAltName=${names.join(',')}`]);
  }

  issueClient({ user, groups = [] }: Identity): Promise<Certificate> {
    const subject = [...groups.map((group) => `/O=${escapeSubject(group)}`), `/CN=${escapeSubject(user)}`].join('');
    return this.#issue(`client-${++this.#issued}`, subject, 'clientAuth', []);
  }

  async #issue(name: string, subject: string, usage: string, extensions: string[]): Promise<Certificate> {
    const [certFile, keyFile] = [join(this.#folder, `${name}.crt`), join(this.#folder, `${name}.key`)];
    const all = ['basicConstraints=critical,CA:FALSE', `extendedKeyUsage=${usage}`, ...extensions];
    await openssl([
      ...newCertificate(subject, keyFile, certFile),
      '-CA',
      this.certFile,
      '-CAkey',
      join(this.#folder, 'ca.key'),
      ...all.flatMap((extension) => ['-addext', extension]),
    ]);
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
    return { certFile, keyFile, cert, key };
  }
}

/** Makes a key pair that signs service account tokens. */
export async function makeSigningKey(privateFile: string, publicFile: string): Promise<void> {
  await openssl(['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', privateFile]);
  await openssl(['ec', '-in', privateFile, '-pubout', '-out', publicFile]);
}

/** The arguments that make a key and, over it, a certificate: a self-signed one unless a CA is added. */
function newCertificate(subject: string, keyFile: string, certFile: string): string[] {
  // Elliptic curves, because making an RSA key takes a good part of the cluster's start.
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  return ['req', '-x509', '-days', '30', '-subj', subject, ...newKey, '-keyout', keyFile, '-out', certFile];
}

function escapeSubject(text: string): string {
  return text.replaceAll(/[\\/+]/g, (character) => `\\${character}`);
}

async function openssl(args: string[]): Promise<void> {
  try {
    await run('openssl', args);
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT') {
      throw new Error('openssl was not found, with which the test cluster makes its certificates: install openssl', {
        cause: error,
      });
    }
    throw new Error(`openssl ${args[0]} failed: ${stderr?.trim() || message}`, { cause: error });
  }
}
