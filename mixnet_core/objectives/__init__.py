"""What a component can minimise besides eq. 9, and the protocol of them all."""
