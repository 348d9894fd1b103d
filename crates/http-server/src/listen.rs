//! Binds an address. The default address `[::]` stands for every address that the kernel has.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Binds the address by `bind`. `[::]` accepts IPv4 connections too, and stands for `0.0.0.0` where the kernel has no IPv6.
pub(crate) async fn listen<T, F>(address: SocketAddr, bind: impl Fn(SocketAddr) -> F) -> std::io::Result<T>
where
    F: Future<Output = std::io::Result<T>>,
{
    match bind(address).await {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && is_lack_of_ipv6(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into()).await
        }
        other => other,
    }
}

/// Whether the kernel has no IPv6 (EAFNOSUPPORT), or it is switched off (EADDRNOTAVAIL).
fn is_lack_of_ipv6(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

/// Linux' EAFNOSUPPORT, for which the standard library has no kind.
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn the_default_address_accepts_ipv6_and_ipv4() {
        let listener = listen("[::]:0".parse().unwrap(), TcpListener::bind).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for client in [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)] {
            let (connected, accepted) = tokio::join!(TcpStream::connect((client, port)), listener.accept());
            assert!(connected.is_ok() && accepted.is_ok(), "{client}: {connected:?}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_no_lack_of_ipv6() {
        let first = listen("[::]:0".parse().unwrap(), TcpListener::bind).await.unwrap();
        let error = listen(first.local_addr().unwrap(), TcpListener::bind).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(!is_lack_of_ipv6(&error));
    }

    /// The answer of a kernel without IPv6, and the addresses that were tried.
    async fn without_ipv6(address: &str) -> (Result<SocketAddr, Option<i32>>, Vec<String>) {
        let tried = Mutex::new(Vec::new());
        let bind = |address: SocketAddr| {
            tried.lock().unwrap().push(address.to_string());
            std::future::ready(match address {
                SocketAddr::V4(_) => Ok(address),
                SocketAddr::V6(_) => Err(std::io::Error::from_raw_os_error(ADDRESS_FAMILY_NOT_SUPPORTED)),
            })
        };
        let bound = listen(address.parse().unwrap(), bind).await;
        (bound.map_err(|error| error.raw_os_error()), tried.into_inner().unwrap())
    }

    #[tokio::test]
    async fn without_ipv6_the_default_address_is_bound_in_ipv4_and_a_specific_one_is_not() {
        let all_of_ipv4 = "0.0.0.0:8080".parse().unwrap();
        let tried = vec!["[::]:8080".to_owned(), "0.0.0.0:8080".to_owned()];
        assert_eq!(without_ipv6("[::]:8080").await, (Ok(all_of_ipv4), tried));
        for specific in ["[::1]:8080", "[2001:db8::1]:8080"] {
            let refused = (Err(Some(ADDRESS_FAMILY_NOT_SUPPORTED)), vec![specific.to_owned()]);
            assert_eq!(without_ipv6(specific).await, refused);
        }
    }

    #[test]
    fn a_kernel_without_ipv6_is_recognized_by_its_errors() {
        const EADDRNOTAVAIL: i32 = 99;
        for number in [ADDRESS_FAMILY_NOT_SUPPORTED, EADDRNOTAVAIL] {
            assert!(is_lack_of_ipv6(&std::io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
